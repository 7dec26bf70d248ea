// The History tab: search, look, compare, send. Python side: modules/web/ui/history.py.

/** Two pictures on top of each other; the slider says how much of the first is seen. */
function easelCompare(first, second) {
    const slider = easelMake("input", { type: "range", min: "0", max: "100", value: "50", "aria-label": easelWords("How much of the left picture") });
    const over = easelMake("img", { src: first.whole, alt: first.name, class: "easel-over" });
    const frame = easelMake("div", { class: "easel-compare" }, easelMake("img", { src: second.whole, alt: second.name }), over, easelMake("div", { class: "easel-seam" }), slider);
    const turn = () => {
        frame.style.setProperty("--seam", `${slider.value}%`);
    };
    slider.addEventListener("input", turn);
    turn();
    const words = (picture) => easelMake("p", { class: "easel-plain" }, picture.infotext);
    easelDialog("Compare", easelMake("div", {}, frame, easelMake("div", { class: "easel-sides even" }, words(first), words(second))), { wide: true });
    slider.focus();
}

easelParts.history = (holder, ask, tell) => {
    const said = easelSaid();
    let pictures = [];
    let beyond = null;
    let chosen = new Set();
    let timer = null;
    const inOrder = easelInOrder(ask);

    const soon = () => {
        window.clearTimeout(timer);
        timer = window.setTimeout(() => find(false), 250);
    };
    const field = (words, attributes) => easelField(words, easelMake("input", { oninput: soon, ...attributes }));
    const [textField, text] = field("Search", { type: "search", id: "history_search", placeholder: easelWords("Words of the prompt, the model, the file") });
    const [seedField, seed] = field("Seed", { type: "text", inputmode: "numeric", id: "history_seed", size: "12" });
    const [sinceField, since] = field("From", { type: "date", id: "history_since" });
    const [untilField, until] = field("To", { type: "date", id: "history_until" });
    const menus = {};
    const menuFields = [["model", "Model"], ["sampler", "Sampler"], ["kind", "Kind"]].map(([name, words]) => {
        const [whole, menu] = easelField(words, easelMake("select", { id: `history_${name}`, onchange: soon }));
        menu.append(easelMake("option", { value: "" }, easelWords("All")));
        menus[name] = menu;
        return whole;
    });
    const [starField, starred] = easelField("Starred only", easelMake("input", { type: "checkbox", id: "history_starred", onchange: soon }), { inline: true });
    const [trashField, trashed] = easelField("Trash", easelMake("input", { type: "checkbox", id: "history_trashed", onchange: soon }), { inline: true });
    const [oldField, oldest] = easelField("Oldest first", easelMake("input", { type: "checkbox", onchange: soon }), { inline: true });
    const count = easelMake("span", { class: "comments", "aria-live": "polite", id: "history_count" });
    const grid = easelMake("div", { class: "easel-grid", id: "history_grid" });
    const more = easelButton("Show more", () => find(true), { id: "history_more" });
    const selection = easelMake("div", { class: "easel-bar", id: "history_selection" });
    const empty = easelButton("Empty the trash", () => window.confirm(easelWords("Delete all pictures in the trash for ever?")) && act("empty", []), { kind: "stop", id: "history_empty" });

    holder.append(
        easelMake("div", { class: "easel-bar easel-filters" }, textField, ...menuFields, seedField, sinceField, untilField, starField, trashField, oldField),
        easelMake("div", { class: "easel-bar" }, count, empty, said.line),
        selection, grid, more,
    );

    async function find(further) {
        try {
            const found = await inOrder("find", {
                text: text.value, seed: seed.value, since: since.value, until: until.value, model: menus.model.value,
                sampler: menus.sampler.value, kind: menus.kind.value, starred: starred.checked, trashed: trashed.checked,
                oldest_first: oldest.checked, beyond: further ? beyond : null,
            });
            if (!found) {
                return;
            }
            pictures = further ? [...pictures, ...found.pictures] : found.pictures;
            beyond = found.beyond;
            more.hidden = beyond === null;
            empty.hidden = !trashed.checked || !found.count;
            count.textContent = `${found.count} ${easelWords(found.count === 1 ? "picture" : "pictures")}`;
            if (!further) {
                chosen = new Set();
            }
            said.say("");
            draw();
            fill(found.pictures.filter((picture) => picture.small === null));
        } catch (error) {
            said.say(error.message, true);
        }
    }

    /** Small copies that are still to be made, a few at a time. */
    async function fill(missing) {
        for (let place = 0; place < missing.length && holder.isConnected; place += 8) {
            const part = missing.slice(place, place + 8);
            const made = await ask("smalls", { numbers: part.map((picture) => picture.number) }).catch(() => ({}));
            for (const picture of part) {
                picture.small = made[picture.number] || "";
                const tile = grid.querySelector(`[data-number="${picture.number}"] .easel-face`);
                if (tile) {
                    tile.replaceChildren(face(picture));
                }
            }
        }
    }

    async function filters() {
        const found = await ask("filters").catch(() => ({}));
        for (const [name, menu] of Object.entries(menus)) {
            const now = menu.value;
            menu.replaceChildren(...["", ...(found[name] || [])].map((value) => easelMake("option", { value }, value || easelWords("All"))));
            menu.value = now;
        }
    }

    const face = (picture) => picture.small
        ? easelMake("img", { src: picture.small, alt: picture.prompt.slice(0, 200) || picture.name, loading: "lazy" })
        : easelMake("span", { class: "easel-nopreview" }, picture.small === null ? "…" : easelWords("Gone"));

    function draw() {
        grid.replaceChildren(...pictures.map((picture) => easelMake(
            "div",
            { class: "easel-tile", "data-number": picture.number },
            easelMake("button", { type: "button", class: "easel-face", title: picture.prompt, "aria-label": picture.prompt || picture.name, onclick: () => open(picture) }, face(picture)),
            easelMake("input", {
                type: "checkbox", class: "easel-choose", checked: chosen.has(picture.number), "aria-label": easelWords("Choose"),
                onchange: (event) => { event.target.checked ? chosen.add(picture.number) : chosen.delete(picture.number); choices(); },
            }),
            easelButton(picture.starred ? "Take the star away" : "Star", () => star(picture), { symbol: picture.starred ? "★" : "☆", kind: "easel-star", pressed: picture.starred }),
        )));
        if (!pictures.length) {
            grid.append(easelMake("p", { class: "comments" }, easelWords("No picture fits. Pictures that are saved to disk are listed here.")));
        }
        choices();
    }

    function choices() {
        const numbers = [...chosen];
        const inTrash = trashed.checked;
        selection.hidden = !numbers.length;
        const offered = [
            easelMake("span", {}, `${numbers.length} ${easelWords("chosen")}`),
            easelButton("Compare", () => compare(numbers), { disabled: numbers.length !== 2, id: "history_compare" }),
            easelButton("Star", () => act("star", numbers)),
            inTrash ? easelButton("Restore", () => act("restore", numbers)) : easelButton("Move to the trash", () => act("trash", numbers)),
            inTrash ? easelButton("Delete for ever", () => window.confirm(easelWords("Delete for ever?")) && act("destroy", numbers), { kind: "stop" }) : null,
        ];
        selection.replaceChildren(...offered.filter(Boolean));
    }

    async function act(name, numbers) {
        try {
            await ask("do", { act: name, numbers });
            await find(false);
        } catch (error) {
            said.say(error.message, true);
        }
    }

    async function star(picture) {
        picture.starred = !picture.starred;
        try {
            await ask("do", { act: picture.starred ? "star" : "unstar", numbers: [picture.number] });
        } catch (error) {
            said.say(error.message, true);
        }
        draw();
    }

    async function full(number) {
        try {
            return await ask("picture", { number });
        } catch (error) {
            said.say(error.message, true);
            return null;
        }
    }

    async function compare(numbers) {
        const [one, other] = await Promise.all(numbers.map(full));
        if (one && other) {
            easelCompare(one, other);
        }
    }

    async function open(picture) {
        const found = await full(picture.number);
        if (!found) {
            return;
        }
        let box = null;
        const send = (words, to) => easelButton(words, () => { box.close(); tell({ do: "send", to, number: found.number }); }, { id: `history_send_to_${to}` });
        const leave = (words, name) => easelButton(words, () => { box.close(); act(name, [found.number]); });
        const facts = [found.name, `${found.width} × ${found.height}`, easelDate(found.created)].join(" · ");
        box = easelDialog("Picture", easelMake(
            "div",
            {},
            found.whole ? easelMake("img", { class: "easel-whole", src: found.whole, alt: found.prompt }) : easelMake("p", { class: "error" }, easelWords("The file is gone.")),
            easelMake("p", { class: "comments easel-plain" }, facts),
            found.whole ? easelMake(
                "div",
                { class: "easel-bar" },
                send("Send to txt2img", "txt2img"), send("Send to img2img", "img2img"), send("Send to inpaint", "inpaint"),
                send("Send to extras", "extras"), send("Send to PNG Info", "pnginfo"),
                easelMake("a", { class: "easel-button", href: found.whole, download: found.name }, easelWords("Download")),
                found.trashed ? leave("Restore", "restore") : leave("Move to the trash", "trash"),
            ) : null,
            easelMake("div", { class: "infotext" }, easelMake("button", { type: "button", class: "easel-copy", "data-copy": found.infotext }, easelWords("Copy")), easelMake("p", { class: "easel-plain easel-lines" }, found.infotext)),
        ), { wide: true });
    }

    let last = 0;
    new IntersectionObserver((entries) => {
        if (entries.some((entry) => entry.isIntersecting) && Date.now() - last > 1000) {
            last = Date.now();
            filters();
            if (!chosen.size) {
                find(false);
            }
        }
    }).observe(holder);
};
