// The Settings tab's rows: menus, saving, marks, search. Python side: modules/web/ui/settings.py and settings_rows.py.

easelParts.settings = (holder, ask, tell) => {
    const rows = new Map(Array.from(holder.querySelectorAll(".easel-option"), (row) => [row.dataset.key, row]));
    const filled = new Map(); // key -> the menu as it was filled, as text
    const lists = new Map(); // key -> what is chosen, of options that are lists
    let twice = [];
    let known = false;
    let asked = 0;
    let shownNumber = 0;

    const field = (row) => row.querySelector('[id$="_input"]');
    const said = (words, wrong = false) => {
        const line = gradioApp().querySelector("#settings_result .easel-said");
        if (line) {
            line.textContent = words;
            line.classList.toggle("error", wrong);
        }
    };

    // ---- showing

    function fill(row, offered) {
        const text = JSON.stringify(offered);
        if (!offered || filled.get(row.dataset.key) === text) {
            return;
        }
        filled.set(row.dataset.key, text);
        const options = offered.map((value) => easelMake("option", { value }, row.querySelector("datalist") ? "" : value || "—"));
        const menu = row.querySelector("datalist") || row.querySelector("select");
        menu.replaceChildren(...(row.dataset.kind === "choices" && menu.tagName === "SELECT" ? [easelMake("option", { value: "" }, easelWords("Add…"))] : []), ...options);
    }

    function chips(row, values) {
        const key = row.dataset.key;
        lists.set(key, values);
        row.querySelector(".easel-chips").replaceChildren(...values.map((value) => easelMake(
            "span",
            { class: "easel-chip easel-plain" },
            value,
            field(row).disabled ? null : easelMake("button", {
                type: "button",
                "aria-label": `${easelWords("Remove")}: ${value}`,
                onclick: () => save(row, lists.get(key).filter((other) => other !== value)),
            }, "✕"),
        )));
    }

    const SHOW = {
        bool: (row, value) => { field(row).checked = Boolean(value); },
        choices: (row, value) => { chips(row, value || []); field(row).value = ""; },
        range: (row, value) => { row.querySelectorAll("input").forEach((input) => { input.value = value; }); },
    };
    const plain = (row, value) => { field(row).value = value === null || value === undefined ? "" : value; };

    /** The answer to a question; what it says is said, what it shows only unless a later one was answered before. */
    async function answer(question, told, acted = null) {
        asked += 1;
        const mine = asked;
        const state = await ask(question, told);
        if (state.words) {
            said(state.words);
        }
        if (mine >= shownNumber) {
            shownNumber = mine;
            show(state, acted);
        }
    }

    /** Show what holds; what is being typed elsewhere than in the row `acted` on is left alone. */
    function show(state, acted = null) {
        known = true;
        twice = state.quick;
        const changed = new Set(state.changed);
        for (const [key, row] of rows) {
            if (key in state.values) {
                fill(row, state.menus[key]);
                if (row === acted || document.activeElement !== field(row)) {
                    (SHOW[row.dataset.kind] || plain)(row, state.values[key]);
                }
                row.classList.toggle("changed", changed.has(key));
            }
        }
        easelOptions(JSON.stringify(state.options));
    }

    // ---- saving

    async function act(question, row, more = {}) {
        const key = row.dataset.key;
        try {
            await answer(question, { key, ...more }, row);
            if (question === "reset") {
                row.querySelector("input, select").focus();
            }
            if (twice.includes(key)) {
                tell({ key });
            }
        } catch (error) {
            await refresh();
            said(error.message, true);
        }
    }

    const save = (row, value) => act("set", row, { value });

    const READ = {
        bool: (input) => input.checked,
        number: (input) => (input.value === "" ? null : Number(input.value)),
        range: (input) => (input.value === "" ? null : Number(input.value)),
    };

    holder.addEventListener("change", (event) => {
        const row = event.target.closest(".easel-option");
        if (!row || !event.target.matches("input, select")) {
            return;
        }
        if (row.dataset.kind === "choices") {
            const value = event.target.value.trim();
            const now = lists.get(row.dataset.key) || [];
            event.target.value = "";
            if (value && !now.includes(value)) {
                save(row, [...now, value]);
            }
            return;
        }
        const read = READ[row.dataset.kind];
        save(row, read ? read(event.target) : event.target.value);
    });

    holder.addEventListener("input", (event) => { // a slider and its number move together
        const row = event.target.closest('[data-kind="range"]');
        if (row) {
            row.querySelectorAll("input").forEach((input) => { input.value = event.target.value; });
        }
    });

    holder.addEventListener("click", (event) => {
        const button = event.target.closest(".easel-reset");
        if (button) {
            act("reset", button.closest(".easel-option"));
        }
    });

    // ---- when

    let shown = false;

    async function refresh() {
        try {
            await answer("state");
        } catch (error) {
            said(error.message, true);
        }
    }

    new IntersectionObserver((entries) => {
        const now = entries.some((entry) => entry.isIntersecting);
        if (now && !shown) {
            refresh();
        }
        shown = now;
    }).observe(holder);
    onOptionsChanged(() => known && shown && refresh());
};

/** Open the tab with a section of it in sight; one of an extension that was loaded since the page was made is not there. */
function easelShowSettings(id) {
    easelOpenTab("tabs", "tab_settings");
    const search = document.querySelector("#settings_search input");
    search.value = "";
    easelSearchSettings("");
    const look = (patience) => {
        const section = document.getElementById(id);
        if (section && section.offsetParent) {
            section.scrollIntoView({ block: "start" });
        } else if (patience > 0) {
            window.setTimeout(() => look(patience - 1), 100);
        }
    };
    look(30);
}

/** Show the settings that hold every word of the search; a section goes with its last setting. */
function easelSearchSettings(text) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    for (const section of gradioApp().querySelectorAll(".easel-section")) {
        const heading = section.querySelector("h3").textContent;
        const rows = Array.from(section.querySelectorAll(".easel-option"));
        const holds = (content) => words.every((word) => content.toLowerCase().includes(word));
        for (const row of rows) {
            row.classList.toggle("easel-hidden", !holds(`${heading} ${row.dataset.key} ${row.textContent}`));
        }
        const any = rows.length ? rows.some((row) => !row.classList.contains("easel-hidden")) : holds(section.textContent);
        section.classList.toggle("easel-hidden", !any);
        const link = document.querySelector(`[data-goto="${section.id}"]`);
        if (link) {
            link.disabled = !any;
        }
    }
}

document.addEventListener("input", (event) => {
    if (event.target.closest && event.target.closest("#settings_search")) {
        easelSearchSettings(event.target.value);
    }
});
