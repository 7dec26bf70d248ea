// Work on prompts by keyboard and mouse: emphasis, order, suggestions, a picture dropped on them.

/** Extensions offer words here: function (word, textarea) -> [{ text, about, shown }] or a promise of it. */
const easelSuggesters = [];

(() => {
    const PROMPTS = '[id$="_prompt"] textarea, [id$="_neg_prompt"] textarea';
    const option = (key, usual) => (opts && opts[key] !== undefined ? opts[key] : usual);
    const isPrompt = (element) => element && element.matches && element.matches(PROMPTS);

    // ---- Ctrl+Up and Ctrl+Down

    /** The nearest pair around start..end -> [place of the opening, place of the closing], or null. */
    function enclosing(text, start, end, open, close) {
        let depth = 0;
        let first = -1;
        for (let place = start - 1; place >= 0 && first < 0; place -= 1) {
            const escaped = text[place - 1] === "\\";
            if (!escaped && text[place] === close) depth += 1;
            if (!escaped && text[place] === open) {
                if (depth === 0) first = place;
                depth -= 1;
            }
        }
        depth = 0;
        for (let place = end; first >= 0 && place < text.length; place += 1) {
            const escaped = text[place - 1] === "\\";
            if (!escaped && text[place] === open) depth += 1;
            if (!escaped && text[place] === close) {
                if (depth === 0) return [first, place];
                depth -= 1;
            }
        }
        return null;
    }

    function wordAt(text, place) {
        const blanks = { Tab: "\t", "Carriage Return": "\r", "Line Feed": "\n" };
        const named = option("keyedit_delimiters_whitespace", Object.keys(blanks)).map((name) => blanks[name] || "").join("");
        const ends = option("keyedit_delimiters", ".,\\/!?%^*;:{}=`~() ") + named;
        let [start, end] = [place, place];
        while (start > 0 && !ends.includes(text[start - 1])) start -= 1;
        while (end < text.length && !ends.includes(text[end])) end += 1;
        return [start, end];
    }

    function replace(box, start, end, text, from, to) {
        box.setRangeText(text, start, end);
        box.setSelectionRange(from, to);
        updateInput(box);
    }

    const rounded = (number) => String(Math.round(number * 1000) / 1000);

    function emphasise(box, up) {
        const text = box.value;
        let [start, end] = [box.selectionStart, box.selectionEnd];
        const network = enclosing(text, start, end, "<", ">");
        if (network) {
            const inside = text.slice(network[0] + 1, network[1]);
            const found = inside.match(/^(.*?:.*?):(-?\d*\.?\d+)(.*)$/s) || [null, inside, "1", ""];
            const weight = Number(found[2]) + (up ? 1 : -1) * option("keyedit_precision_extra", 0.05);
            const made = `<${found[1]}:${rounded(weight)}${found[3]}>`;
            replace(box, network[0], network[1] + 1, made, network[0] + 1, network[0] + made.length - 1);
            return;
        }
        const step = (up ? 1 : -1) * option("keyedit_precision_attention", 0.1);
        const pair = enclosing(text, start, end, "(", ")");
        const content = pair && text.slice(pair[0] + 1, pair[1]).match(/^(.*?)(?::\s*(-?\d*\.?\d+)\s*)?$/s);
        const whole = content && (start === end || content[1] === text.slice(start, end) || start <= pair[0] + 1);
        if (whole) {
            const weight = Number(content[2] === undefined ? 1.1 : content[2]) + step;
            const plain = Math.abs(weight - 1) < 1e-6;
            const made = plain ? content[1] : `(${content[1]}:${rounded(weight)})`;
            const begin = pair[0] + (plain ? 0 : 1);
            replace(box, pair[0], pair[1] + 1, made, begin, begin + content[1].length);
            return;
        }
        if (start === end) {
            [start, end] = wordAt(text, start);
        }
        while (end > start && /\s/.test(text[end - 1])) end -= 1;
        while (start < end && /\s/.test(text[start])) start += 1;
        if (start < end) {
            const made = `(${text.slice(start, end)}:${rounded(1 + step)})`;
            replace(box, start, end, made, start + 1, end + 1);
        }
    }

    // ---- Alt+Left and Alt+Right

    function move(box, right) {
        const text = box.value;
        const parts = [];
        let begin = 0;
        for (const piece of text.split(",")) {
            parts.push({ begin, piece, core: piece.trim(), lead: piece.length - piece.trimStart().length });
            begin += piece.length + 1;
        }
        const here = parts.findIndex((part) => box.selectionStart <= part.begin + part.piece.length);
        const there = here + (right ? 1 : -1);
        if (here < 0 || there < 0 || there >= parts.length) {
            return;
        }
        const inside = Math.max(0, box.selectionStart - parts[here].begin - parts[here].lead);
        [parts[here].core, parts[there].core] = [parts[there].core, parts[here].core];
        const spelled = parts.map((part) => part.piece.slice(0, part.lead) + part.core + (part.piece.trim() ? part.piece.slice(part.piece.trimEnd().length) : ""));
        const made = spelled.join(",");
        const place = spelled.slice(0, there).reduce((sum, piece) => sum + piece.length + 1, 0) + parts[there].lead + inside;
        replace(box, 0, text.length, made, Math.min(place, made.length), Math.min(place, made.length));
    }

    document.addEventListener("keydown", (event) => {
        if (!isPrompt(event.target)) {
            return;
        }
        const control = event.ctrlKey || event.metaKey;
        if (control && !event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
            event.preventDefault();
            emphasise(event.target, event.key === "ArrowUp");
        } else if (event.altKey && !control && (event.key === "ArrowLeft" || event.key === "ArrowRight") && option("keyedit_move", true)) {
            event.preventDefault();
            move(event.target, event.key === "ArrowRight");
        }
    });

    document.addEventListener("focusin", (event) => {
        if (isPrompt(event.target)) {
            const tab = event.target.closest('[id^="txt2img_"]') ? "txt2img" : "img2img";
            activePromptTextarea[tab] = event.target;
        }
    });

    // ---- a picture dropped on a prompt gives its parameters

    const hasPicture = (transfer) => transfer && (Array.from(transfer.items || []).some((item) => item.kind === "file") || Array.from(transfer.types || []).includes("text/uri-list"));

    async function pictureOf(transfer) {
        const file = Array.from(transfer.files || []).find((each) => each.type.startsWith("image/"));
        const address = transfer.getData("text/uri-list").split("\n")[0];
        if (file || !address || new URL(address, location.href).origin !== location.origin) {
            return file || null;
        }
        const answer = await fetch(address);
        const data = await answer.blob();
        return new File([data], decodeURIComponent(address.split("/").pop()) || "picture.png", { type: data.type });
    }

    document.addEventListener("dragover", (event) => {
        if (isPrompt(event.target) && hasPicture(event.dataTransfer)) {
            event.preventDefault();
        }
    });

    document.addEventListener("drop", async (event) => {
        if (!isPrompt(event.target) || !hasPicture(event.dataTransfer)) {
            return;
        }
        event.preventDefault();
        const tab = event.target.closest('[id^="img2img_"]') ? "img2img" : "txt2img";
        const file = await pictureOf(event.dataTransfer);
        const input = gradioApp().querySelector(`#${tab}_prompt_image input[type=file]`);
        if (file && input) {
            const carried = new DataTransfer();
            carried.items.add(file);
            input.files = carried.files;
            input.dispatchEvent(new Event("change", { bubbles: true }));
        }
    });

    // ---- suggestions while typing

    let list = null;
    let owner = null;
    let asked = 0;

    function closeList() {
        if (list) {
            list.remove();
            list = null;
            owner.removeAttribute("aria-activedescendant");
        }
    }

    /** The word before the cursor: behind the last comma, bracket or line, or from "<" on. */
    function typed(box) {
        const before = box.value.slice(0, box.selectionStart);
        const network = before.match(/<[^<>]*$/);
        const word = network ? network[0] : (before.match(/[^,()[\]{}|\n<>]*$/) || [""])[0].trimStart();
        return { word, start: box.selectionStart - word.length };
    }

    function take(entry) {
        const { start } = typed(owner);
        const end = owner.selectionStart;
        const more = entry.text.startsWith("<") ? "" : ", ";
        replace(owner, start, end, entry.text + more, start + entry.text.length + more.length, start + entry.text.length + more.length);
        closeList();
    }

    function openList(box, found) {
        closeList();
        if (!found.length || document.activeElement !== box) {
            return;
        }
        owner = box;
        list = easelMake("ul", { class: "easel-suggestions", role: "listbox", "aria-label": easelWords("Suggestions") }, found.map((entry, number) => easelMake(
            "li",
            { role: "option", id: `easel_suggestion_${number}`, "aria-selected": "false", onmousedown: (event) => { event.preventDefault(); take(entry); } },
            easelMake("span", {}, entry.shown || entry.text),
            entry.about ? easelMake("small", {}, entry.about) : null,
        )));
        list.entries = found;
        const room = box.getBoundingClientRect();
        list.style.left = `${room.left + window.scrollX}px`;
        list.style.top = `${room.bottom + window.scrollY}px`;
        (document.querySelector(".gradio-container") || document.body).append(list);
    }

    function mark(change) {
        const items = Array.from(list.children);
        const now = items.findIndex((item) => item.getAttribute("aria-selected") === "true");
        const next = (now + change + items.length + (now < 0 && change < 0 ? 1 : 0)) % items.length;
        items.forEach((item, number) => item.setAttribute("aria-selected", String(number === next)));
        items[next].scrollIntoView({ block: "nearest" });
        owner.setAttribute("aria-activedescendant", items[next].id);
    }

    document.addEventListener("input", async (event) => {
        if (!event.isTrusted || !isPrompt(event.target) || !easelSuggesters.length) {
            return;
        }
        const box = event.target;
        const { word } = typed(box);
        asked += 1;
        const number = asked;
        if (word.length < 2) {
            closeList();
            return;
        }
        const answers = await Promise.all(easelSuggesters.map(async (suggest) => {
            try {
                return (await suggest(word, box)) || [];
            } catch (error) {
                console.warn("Suggestions failed:", error);
                return [];
            }
        }));
        if (number === asked) {
            openList(box, answers.flat().slice(0, 12));
        }
    });

    document.addEventListener("keydown", (event) => {
        if (!list || event.target !== owner || event.ctrlKey || event.metaKey || event.altKey) {
            return;
        }
        const chosen = Array.from(list.children).findIndex((item) => item.getAttribute("aria-selected") === "true");
        if (event.key === "ArrowDown" || event.key === "ArrowUp") {
            mark(event.key === "ArrowDown" ? 1 : -1);
        } else if (event.key === "Escape") {
            closeList();
        } else if (event.key === "Tab" || (event.key === "Enter" && chosen >= 0)) {
            take(list.entries[Math.max(0, chosen)]);
        } else {
            return;
        }
        event.preventDefault();
        event.stopPropagation();
    }, true);
    document.addEventListener("focusout", (event) => event.target === owner && closeList());
})();
