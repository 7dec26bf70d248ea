// Cards of extra networks: a page of pictures; a click puts one into the prompt. Python side: modules/web/ui/cards.py.

/** kind of cards -> functions that read it anew. */
const easelCardPages = [];

/** Something beside the files has changed. */
function easelCardsChanged() {
    easelCardPages.forEach((reload) => reload());
}

/** Put text into a prompt, or take it out where it is already; `separator` goes between it and what is there. */
function easelToggleText(box, text, separator) {
    const tag = text.match(/^<([^:>]+:[^:>]+):[^>]*>$/);
    const escaped = (plain) => plain.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    const found = tag ? new RegExp(`${escaped(separator)}?<${escaped(tag[1])}:[^>]*>`) : null;
    if (found && found.test(box.value)) {
        box.value = box.value.replace(found, "");
    } else if (!tag && box.value.split(/\s*,\s*/).includes(text)) {
        box.value = box.value.split(/\s*,\s*/).filter((part) => part !== text).join(", ");
    } else {
        box.value += (box.value ? separator : "") + text;
    }
    updateInput(box);
}

easelParts.cards = (holder, ask, tell) => {
    const element = holder.closest('[id$="_cards_html"]');
    const [, tab, kind] = element.id.match(/^(txt2img|img2img)_(.+)_cards_html$/);
    let cards = [];
    let settings = {};
    let folder = "";
    let direction = 1;
    let treeShown = null;

    const said = easelSaid();
    const inOrder = easelInOrder(ask);
    const search = easelMake("input", { type: "search", placeholder: easelWords("Search…"), "aria-label": easelWords("Search…"), id: `${tab}_${kind}_extra_search`, oninput: () => show() });
    const orders = { Path: "id", Name: "name", "Date Created": "created", "Date Modified": "changed" };
    const order = easelMake("select", { "aria-label": easelWords("Sort by"), id: `${tab}_${kind}_extra_sort`, onchange: () => show() });
    order.append(...Object.keys(orders).map((name) => easelMake("option", { value: name }, easelWords(name))));
    const turn = easelButton("Other way round", () => { direction = -direction; show(); }, { symbol: "⇅" });
    const treeButton = easelButton("Folders", () => { treeShown = !treeShown; show(); }, { symbol: "📁" });
    const refresh = easelButton("Look at the folders again", () => load(true), { symbol: "🔄", id: `${tab}_${kind}_extra_refresh` });
    const tree = easelMake("nav", { class: "easel-tree", "aria-label": easelWords("Folders") });
    const grid = easelMake("div", { class: "extra-network-cards" });
    holder.classList.add("extra-network-pane");
    holder.append(
        easelMake("div", { class: "easel-bar" }, search, order, turn, treeButton, refresh),
        said.line,
        easelMake("div", { class: "easel-sides" }, tree, grid),
    );

    async function load(again) {
        try {
            const found = await inOrder("list", { kind, refresh: Boolean(again) });
            if (!found) {
                return;
            }
            cards = found.cards;
            if (treeShown === null) {
                settings = found.settings;
                order.value = orders[settings.order] ? settings.order : "Path";
                direction = settings.direction === "Descending" ? -1 : 1;
                treeShown = settings.tree;
            }
            settings = found.settings;
            said.say(again ? easelWords("Looked again.") : "");
        } catch (error) {
            said.say(error.message, true);
        }
        show();
    }

    const hidden = (card) => card.id.split("/").some((part) => part.startsWith("."));

    function wanted() {
        const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
        const key = orders[order.value] || "id";
        return cards
            .filter((card) => !folder || `${card.folder}/`.startsWith(`${folder}/`))
            .filter((card) => !hidden(card) || settings.hidden === "Always" || (settings.hidden === "When searched" && words.length))
            .filter((card) => words.every((word) => `${card.id} ${card.name} ${card.description} ${card.activation}`.toLowerCase().includes(word)))
            .sort((one, other) => direction * (typeof one[key] === "number" ? one[key] - other[key] : one[key].localeCompare(other[key], undefined, { numeric: true })));
    }

    function show() {
        const folders = new Set();
        for (const card of cards) {
            const parts = card.folder.split("/").filter(Boolean);
            parts.forEach((_, depth) => folders.add(parts.slice(0, depth + 1).join("/")));
        }
        const listed = [...folders].sort().filter((name) => settings.show_hidden_folders || !name.split("/").some((part) => part.startsWith(".")));
        tree.replaceChildren(...["", ...listed].map((name) => easelMake(
            "button",
            {
                type: "button",
                "aria-pressed": String(name === folder),
                style: `padding-left: ${0.6 + 0.9 * (name ? name.split("/").length : 0)}em`,
                onclick: () => { folder = name; show(); },
            },
            name ? name.split("/").pop() : easelWords("All folders"),
        )));
        tree.hidden = !treeShown || listed.length === 0;
        treeButton.setAttribute("aria-pressed", String(!tree.hidden));
        treeButton.hidden = listed.length === 0;
        const found = wanted();
        grid.replaceChildren(...found.map(draw));
        if (!found.length) {
            grid.append(easelMake("p", { class: "comments" }, easelWords(cards.length ? "Nothing matches." : "Nothing here. Put files into the folder of this kind of model and look again.")));
        }
    }

    function draw(card) {
        const size = [settings.width ? `width: ${settings.width}px` : "", settings.height ? `height: ${settings.height}px` : "", `font-size: ${settings.text_scale || 1}em`].filter(Boolean).join("; ");
        const face = easelMake(
            "button",
            { type: "button", class: "easel-face", title: card.remark || card.id, onclick: () => pick(card) },
            card.preview ? easelMake("img", { src: card.preview, alt: "", loading: "lazy" }) : easelMake("span", { class: "easel-nopreview", "aria-hidden": "true" }, card.name.slice(0, 2)),
            easelMake("span", { class: "name" }, card.name),
            settings.descriptions && card.description ? easelMake("span", { class: "description" }, card.description) : null,
        );
        return easelMake(
            "div",
            { class: `card ${card.remark ? "easel-unfit" : ""}`, "data-name": card.name, "data-sort-path": card.id, style: size },
            face,
            easelMake(
                "div",
                { class: "button-row" },
                easelButton("Metadata", () => metadata(card), { symbol: "ℹ️", kind: "metadata-button" }),
                easelButton("Edit", () => edit(card), { symbol: "🛠️", kind: "edit-button" }),
            ),
        );
    }

    function pick(card) {
        if (card.title) {
            selectCheckpoint(card.title);
            said.say(`${easelWords("Checkpoint")}: ${card.title}`);
            return;
        }
        const box = (name) => gradioApp().querySelector(`#${tab}_${name} textarea`);
        const separator = settings.separator || " ";
        const active = activePromptTextarea[tab] || box("prompt");
        const target = card.text.startsWith("<") ? box("prompt") : active;
        const before = target.value;
        easelToggleText(target, card.text, card.text.startsWith("<") ? separator : before ? ", " : "");
        if (card.activation && target.value.length > before.length) {
            target.value += ` ${card.activation}`;
            updateInput(target);
        }
        if (card.negative) {
            easelToggleText(box("neg_prompt"), card.negative, ", ");
        }
        said.say(`${card.name}: ${easelWords(target.value.length > before.length ? "in the prompt" : "out of the prompt")}`);
    }

    async function opened(card) {
        try {
            return await ask("card", { kind, name: card.id });
        } catch (error) {
            said.say(error.message, true);
            return null;
        }
    }

    async function metadata(card) {
        const full = await opened(card);
        if (full) {
            const text = Object.keys(full.metadata).length ? JSON.stringify(full.metadata, null, 2) : easelWords("This file says nothing of itself.");
            const size = `${full.file} · ${(full.size / 1e6).toFixed(1)} MB · ${easelDate(full.changed)}`;
            easelDialog(card.name, easelMake("div", {}, easelMake("p", { class: "comments" }, size), easelMake("pre", { tabindex: "0" }, text)), { wide: true });
        }
    }

    async function edit(card) {
        const full = await opened(card);
        if (!full) {
            return;
        }
        const line = easelSaid();
        const fields = { description: "Description", "sd version": "Made for", "activation text": "Activation text", "negative text": "Negative prompt text", notes: "Notes" };
        if (kind === "checkpoints") {
            delete fields["activation text"];
            delete fields["negative text"];
            fields.vae = "Preferred VAE";
        }
        const inputs = {};
        const form = easelMake("form", { class: "easel-form" });
        for (const [key, label] of Object.entries(fields)) {
            const long = key === "description" || key === "notes" || key === "activation text";
            const [whole, input] = easelField(label, easelMake(long ? "textarea" : "input", { rows: long ? "2" : null, value: full.notes[key] || "" }));
            inputs[key] = input;
            form.append(whole);
        }
        let weight = null;
        if (kind === "lora" || kind === "hypernetworks") {
            const [whole, input] = easelField("Preferred weight (0 = as the settings say)", easelMake("input", { type: "number", min: "-5", max: "5", step: "0.01", value: full.weight }));
            weight = input;
            form.append(whole);
        }
        const send = async (event) => {
            event.preventDefault();
            const notes = Object.fromEntries(Object.entries(inputs).map(([key, input]) => [key, input.value]));
            try {
                await ask("save", { kind, name: card.id, notes, weight: weight ? Number(weight.value) : full.weight });
                line.say(easelWords("Saved."));
                easelCardsChanged();
            } catch (error) {
                line.say(error.message, true);
            }
        };
        form.addEventListener("submit", send);
        form.append(easelMake(
            "div",
            { class: "easel-bar" },
            easelMake("button", { type: "submit", class: "easel-button primary" }, easelWords("Save")),
            easelButton("Replace the preview with the picture shown", () => {
                tell({ do: "preview", kind, name: card.id });
                line.say(easelWords("The picture in the gallery becomes the preview."));
            }),
        ), line.line);
        easelDialog(card.name, form);
    }

    easelCardPages.push(() => treeShown !== null && load(false));
    let begun = false;
    new IntersectionObserver((entries) => {
        if (!begun && entries.some((entry) => entry.isIntersecting)) {
            begun = true;
            load(false);
        }
    }).observe(holder);
};
