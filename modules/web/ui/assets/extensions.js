// The Extensions tab. Python side: modules/web/ui/extensions.py.

/** The packages that come with it, in words. */
const easelPackages = (result) => Object.entries(result.packages).map(([key, value]) => `${key} ${value}`).join(", ") || easelWords("no new packages");

/** What a dry run of an installation found: who it is, and what it declares to do and need. */
function easelDeclared(found) {
    const declared = found.permissions === null ? easelWords("Its author does not say what it does beyond making pictures.") : found.permissions.join(", ") || easelWords("none");
    const facts = [
        [easelWords("Permissions"), declared],
        [easelWords("Python packages"), easelPackages(found)],
        ...(found.requires.length ? [[easelWords("Needs the extensions"), found.requires.join(", ")]] : []),
    ];
    return [
        easelMake("p", { class: "easel-plain" }, easelMake("strong", {}, found.name), ` ${found.version} ${found.commit.slice(0, 8)}`),
        easelMake("dl", {}, facts.flatMap(([title, text]) => [easelMake("dt", {}, easelMake("strong", {}, title)), easelMake("dd", { class: "easel-plain" }, text)])),
    ];
}

easelParts.extensions = (holder, ask) => {
    const said = easelSaid();
    const list = easelMake("ul", { class: "easel-jobs", id: "extensions", "aria-label": easelWords("Extensions") });
    const offers = easelMake("ul", { class: "easel-jobs", id: "available_extensions", "aria-label": easelWords("Available") });
    const past = easelMake("ul", { class: "easel-jobs", id: "config_state_extensions", "aria-label": easelWords("Backup/Restore") });
    const where = easelMake("p", { class: "comments easel-plain" });
    const refusal = easelMake("p", { class: "error easel-plain" });
    const [indexField, index] = easelField("Extension index URL", easelMake("input", { type: "text", id: "extensions_index_url" }));
    const [filterField, filter] = easelField("Search", easelMake("input", { type: "search", id: "available_extensions_search", oninput: () => showOffers() }));
    const [urlField, url] = easelField("URL for extension's git repository", easelMake("input", { type: "text", id: "extensions_url" }));
    const [branchField, branch] = easelField("Specific branch name", easelMake("input", { type: "text", id: "extensions_branch", placeholder: easelWords("Leave empty for default main branch") }));
    const [subfolderField, subfolder] = easelField("Subfolder of the repository", easelMake("input", { type: "text", id: "extensions_subfolder" }));
    const [nameField, name] = easelField("Local directory name", easelMake("input", { type: "text", id: "extensions_dirname", placeholder: easelWords("Leave empty for auto") }));
    const [packagesField, packages] = easelField("Install its Python packages", easelMake("input", { type: "checkbox", id: "extensions_packages", checked: true }), { inline: true });
    let updates = {};
    let offered = [];

    const installedBar = easelMake(
        "div",
        { class: "easel-bar", id: "extensions_installed_top" },
        easelButton("Look again", () => load(), { id: "extensions_refresh" }),
        easelButton("Check for updates", () => check(), { id: "extensions_check" }),
        easelButton("Update all", () => work("update", {}), { id: "extensions_update" }),
    );
    const parts = {
        Installed: [installedBar, list, where],
        Available: [
            indexField,
            easelMake("div", { class: "easel-bar" }, easelButton("Load from:", () => loadOffers(), { id: "extensions_load_index" })),
            filterField,
            offers,
        ],
        "Install from URL": [
            urlField,
            branchField,
            subfolderField,
            nameField,
            packagesField,
            easelMake(
                "div",
                { class: "easel-bar" },
                easelButton("Install", () => look(fields()), { kind: "primary", id: "install_extension_button" }),
            ),
        ],
        "Backup/Restore": [
            easelMake("div", { class: "easel-bar", id: "extensions_backup_top_row" }, easelButton("Look again", () => guarded(showStates), { id: "refresh_config_states" })),
            past,
        ],
    };
    const panels = Object.fromEntries(Object.entries(parts).map(([title, content]) => [title, easelMake("section", { hidden: title !== "Installed", "aria-label": easelWords(title) }, content)]));
    const buttons = Object.keys(panels).map((title) => easelButton(title, () => open(title), { pressed: title === "Installed" }));
    holder.append(easelMake("div", { class: "easel-bar", id: "tabs_extensions" }, buttons), refusal, said.line, ...Object.values(panels));

    function open(title) {
        Object.entries(panels).forEach(([each, panel], place) => {
            panel.hidden = each !== title;
            buttons[place].setAttribute("aria-pressed", String(each === title));
        });
        if (title === "Backup/Restore") {
            guarded(showStates);
        }
    }

    function fields() {
        return { url: url.value, branch: branch.value, subfolder: subfolder.value, name: name.value, requirements: packages.checked ? "install" : "skip" };
    }

    async function guarded(act) {
        try {
            return await act();
        } catch (error) {
            said.say(error.message, true);
            return null;
        }
    }

    /** Queue an act and wait for its end -> its result, null where it failed; what happened is said. */
    function work(act, values, words = null) {
        return guarded(async () => {
            said.say(easelWords("Working …"));
            const { id } = await ask("job", { act, values });
            const state = await easelEnded(ask, id);
            await load();
            if (state.state !== "done") {
                throw new Error(state.error || easelWords("Cancelled before it began."));
            }
            said.say(words ? words(state.result) : told(state.result));
            return state.result;
        });
    }

    function told(result) {
        const each = Object.entries(result.extensions || {}).filter(() => !Array.isArray(result.extensions));
        return [easelWords("Done."), ...each.map(([key, value]) => `${key}: ${value}.`), ...(result.words || [])].join(" ");
    }

    async function check() {
        const found = await work("check", {});
        updates = found ? found.extensions : {};
        load();
    }

    /** Fetch it and show what it is and asks for; nothing is installed before somebody has seen that. */
    async function look(values) {
        const found = await work("install", { ...values, dry_run: true }, () => "");
        if (found) {
            decide(found, () => install({ ...values, commit: found.commit }));
        }
    }

    function decide(found, agreed) {
        const dialog = easelDialog("Before it is installed", easelMake(
            "div",
            { id: "extensions_before" },
            easelDeclared(found),
            easelMake("p", { class: "comments" }, easelWords("An extension is a program with all rights of Easel; its permissions are its author's word.")),
            easelMake(
                "div",
                { class: "easel-bar" },
                easelButton("Install", () => { dialog.close(); agreed(); }, { kind: "primary", id: "extensions_agree" }),
                easelButton("Cancel", () => dialog.close()),
            ),
        ));
    }

    function install(values) {
        return work("install", values, (result) => [`${easelWords("Installed")}: ${result.name}.`, `${easelWords("Python packages")}: ${easelPackages(result)}.`, ...result.words].join(" "));
    }

    function uninstall(extension) {
        if (window.confirm(`${easelWords("Uninstall")} ${extension.title}?`)) {
            work("uninstall", { name: extension.name });
        }
    }

    function show(found) {
        where.textContent = `${easelWords("A folder copied here works too:")} ${found.folder}`;
        refusal.textContent = found.refusal;
        index.value = index.value || found.index;
        list.replaceChildren(...found.extensions.map(draw));
        if (found.words) {
            said.say(found.words.join(" "));
        }
    }

    function load(act = null, name = null) {
        return guarded(async () => show(await (act ? ask("do", { act, name }) : ask("list"))));
    }

    function loadOffers() {
        return guarded(async () => {
            said.say(easelWords("Working …"));
            offered = (await ask("available", { url: index.value })).extensions;
            said.say("");
            showOffers();
        });
    }

    function showOffers() {
        const wanted = filter.value.toLowerCase();
        const fitting = offered.filter((each) => `${each.name} ${each.description} ${each.tags.join(" ")}`.toLowerCase().includes(wanted));
        offers.replaceChildren(...fitting.map((each) => easelMake(
            "li",
            { class: "easel-job" },
            words(each.name, [each.added, each.tags.join(", "), each.url], each.description),
            each.installed ? easelMake("small", {}, easelWords("Installed")) : easelButton("Install", () => look({ url: each.url })),
        )));
    }

    async function showStates() {
        const { states, trash } = await ask("states");
        const gone = trash.map((each) => easelMake("li", { class: "easel-job" }, words(each.split("~")[0], [easelWords("uninstalled"), each.split("~")[1]], ""), easelButton("Restore", async () => { await work("restore", { name: each }); guarded(showStates); })));
        past.replaceChildren(...gone, ...states.map((state, place) => easelMake(
            "li",
            { class: "easel-job" },
            words(`${state.number}: ${state.reason}`, [new Date(state.date).toLocaleString()], Object.entries(state.extensions).map(([key, each]) => `${key} ${each.commit.slice(0, 8)}`).join(", ")),
            place ? easelButton("Roll back to this", async () => { await work("roll-back", { number: state.number }); guarded(showStates); }) : easelMake("small", {}, easelWords("now")),
        )));
    }

    function words(title, facts, text) {
        return easelMake(
            "div",
            { class: "easel-job-words" },
            easelMake("strong", { class: "easel-plain" }, title),
            easelMake("small", { class: "easel-plain" }, facts.filter(Boolean).join(" · ")),
            text ? easelMake("p", { class: "comments easel-plain" }, text) : null,
        );
    }

    function draw(extension) {
        const on = extension.state === "loaded";
        const kind = extension.builtin ? "comes with Easel" : extension.own ? "" : "made for A1111";
        const facts = [extension.version, easelWords(kind), easelWords(extension.state), extension.remote, extension.branch, extension.commit, updates[extension.name]];
        const middle = words(extension.title, facts, extension.description);
        middle.append(...[
            extension.error ? easelMake("p", { class: "error easel-plain" }, extension.error) : null,
            extension.traceback ? easelMake("details", {}, easelMake("summary", {}, easelWords("The whole message")), easelMake("pre", {}, extension.traceback)) : null,
        ].filter(Boolean));
        return easelMake(
            "li",
            { class: `easel-job ${extension.state === "failed" ? "failed" : ""}`, "data-name": extension.name },
            easelMake("input", { type: "checkbox", name: `enable_${extension.name}`, checked: on, "aria-label": `${easelWords("Enabled")}: ${extension.title}`, onchange: (event) => load(event.target.checked ? "enable" : "disable", extension.name) }),
            middle,
            extension.settings ? easelButton("Settings", () => easelShowSettings(extension.settings), { symbol: "⚙" }) : null,
            on ? easelButton("Load again", () => load("reload", extension.name), { symbol: "↻" }) : null,
            extension.remote && !extension.builtin ? easelButton("Update", () => work("update", { names: [extension.name] }), { symbol: "⇩" }) : null,
            extension.builtin ? null : easelButton("Uninstall", () => uninstall(extension), { symbol: "✕" }),
        );
    }

    new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && !list.children.length && load()).observe(holder);
};
