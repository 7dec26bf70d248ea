// Settings, "Import from A1111": its extensions, each with its buttons. Python side: modules/web/ui/importing_extensions.py.

easelParts.importing = (holder, ask) => {
    const said = easelSaid();
    const refusal = easelMake("p", { class: "error easel-plain" });
    const list = easelMake("ul", { class: "easel-jobs", "aria-label": easelWords("Extensions of A1111") });
    const all = [
        easelButton("Install all", () => bring(rows.filter((row) => row.address), false), { id: "import_extensions_install" }),
        easelButton("Copy all", () => bring(rows.filter((row) => row.copy), true), { id: "import_extensions_copy" }),
    ];
    const about = easelMake("p", { class: "comments" }, easelWords("Install fetches the newest from where it came from; copy takes the folder's own commit, without changes made by hand."));
    let folder = "";
    let rows = [];
    holder.hidden = true;
    holder.append(easelMake("h4", {}, easelWords("Extensions")), about, easelMake("div", { class: "easel-bar" }, all), refusal, said.line, list);

    /** Called when a folder of A1111 has been looked at. */
    window.easelLookForExtensions = async () => {
        folder = document.querySelector("#import_folder :is(input, textarea)").value;
        try {
            const found = await ask("list", { folder });
            refusal.textContent = found.refusal;
            rows = found.extensions.map((each) => draw({ ...each, closed: Boolean(found.refusal) }, found.folder));
        } catch (error) {
            rows = []; // the wizard says why
        }
        said.say("");
        all.forEach((button) => { button.disabled = Boolean(refusal.textContent) || !rows.some((row) => row.address || row.copy); });
        list.replaceChildren(...rows.map((row) => row.item));
        holder.hidden = !rows.length;
    };

    /** A row of the list; address and copy: whether it can be had so. */
    function draw(each, own) {
        const line = easelSaid();
        const row = { name: each.name, line, address: each.address !== "" && !each.here, copy: each.copy && !each.here };
        const stuck = !each.here && !row.address && !row.copy ? `${easelWords("No git folder: copy it by hand into")} ${own}` : "";
        row.buttons = each.here ? [] : [
            row.address ? easelButton("Install", () => bring([row], false), { disabled: each.closed }) : null,
            row.copy ? easelButton("Copy", () => bring([row], true), { disabled: each.closed }) : null,
        ].filter(Boolean);
        row.item = easelMake(
            "li",
            { class: "easel-job", "data-name": each.name },
            easelMake(
                "div",
                { class: "easel-job-words" },
                easelMake("strong", { class: "easel-plain" }, each.name),
                easelMake("small", { class: "easel-plain" }, each.here ? easelWords("Installed") : each.address || stuck),
                line.line,
            ),
            row.buttons,
        );
        return row;
    }

    /** One act for a row -> its result; null where it failed, which is said beside its name. */
    async function act(row, more) {
        row.line.say(easelWords("Working …"));
        try {
            const { id } = await ask("install", { folder, name: row.name, commit: "", ...more });
            const state = await easelEnded(ask, id);
            if (state.state !== "done") {
                throw new Error(state.error || easelWords("Cancelled before it began."));
            }
            row.line.say("");
            return state.result;
        } catch (error) {
            row.line.say(error.message, true);
            return null;
        }
    }

    /** Look at each, ask, then install those that the reader has seen; one that fails stops no other. */
    async function bring(wanted, copy) {
        const looked = [];
        all.forEach((button) => { button.disabled = true; });
        for (const row of wanted) {
            const found = await act(row, { copy, dry_run: true });
            if (found) {
                looked.push({ row, found });
            }
        }
        all.forEach((button) => { button.disabled = false; });
        if (looked.length) {
            decide(looked, copy);
        } else {
            said.say(easelWords("None of them can be installed; each says why."), true);
        }
    }

    function decide(looked, copy) {
        const dialog = easelDialog("Before it is installed", easelMake(
            "div",
            { id: "import_extensions_before" },
            easelMake("ul", { class: "easel-jobs" }, looked.map(({ found }) => easelMake("li", { class: "easel-job" }, easelMake("div", { class: "easel-job-words" }, easelDeclared(found))))),
            easelMake("p", { class: "comments" }, easelWords("An extension is a program with all rights of Easel; its permissions are its author's word.")),
            easelMake(
                "div",
                { class: "easel-bar" },
                easelButton("Install", () => { dialog.close(); install(looked, copy); }, { kind: "primary", id: "import_extensions_agree" }),
                easelButton("Cancel", () => dialog.close()),
            ),
        ));
    }

    async function install(looked, copy) {
        let done = 0;
        for (const { row, found } of looked) {
            const result = await act(row, { copy, dry_run: false, commit: found.commit });
            if (result) {
                done += 1;
                row.address = row.copy = false;
                row.buttons.forEach((button) => button.remove());
                row.line.say([easelWords("Installed"), ...result.words].join(". "));
            }
        }
        said.say(`${easelWords("Installed")}: ${done} / ${looked.length}`, done < looked.length);
    }
};
