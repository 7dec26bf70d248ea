// The page's script. The functions up to "what this page does" are globals because extensions call them.

function gradioApp() {
    const root = document.querySelector("gradio-app") || document;
    if (root !== document && !root.getElementById) {
        root.getElementById = (id) => document.getElementById(id);
    }
    return root.shadowRoot || root;
}

const easelCallbacks = { form: [], loaded: [], update: [], afterUpdate: [], tabChange: [] };

function easelCall(callbacks, argument) {
    for (const callback of callbacks) {
        try {
            callback(argument);
        } catch (error) {
            console.error("A callback of the page failed:", callback, error);
        }
    }
}

function easelOnce(when, callback) {
    if (easelCallbacks[when] === null) {
        easelCall([callback]);
    } else {
        easelCallbacks[when].push(callback);
    }
}

function easelNow(when) {
    const callbacks = easelCallbacks[when];
    easelCallbacks[when] = null;
    easelCall(callbacks || []);
}

/** Once, as soon as the first form is there (at once if it is already). */
function easelOnForm(callback) {
    easelOnce("form", callback);
}

/** Once, as soon as all tabs are there, opened or not (at once if they are already). */
function onUiLoaded(callback) {
    easelOnce("loaded", callback);
}

/** Whenever the page's elements change; gets the mutation records. */
function onUiUpdate(callback) {
    easelCallbacks.update.push(callback);
}

/** A little after the page's elements have changed, once for many changes. */
function onAfterUiUpdate(callback) {
    easelCallbacks.afterUpdate.push(callback);
}

/** Whenever another tab is shown. */
function onUiTabChange(callback) {
    easelCallbacks.tabChange.push(callback);
}

/** The button of the tab that is shown. */
function get_uiCurrentTab() {
    return gradioApp().querySelector('#tabs button[role="tab"][aria-selected="true"]');
}

/** The content of the tab that is shown. */
function get_uiCurrentTabContent() {
    const tabs = gradioApp().querySelectorAll('#tabs [id^="tab_"][role="tabpanel"]');
    return Array.from(tabs).find((tab) => tab.style.display !== "none") || null;
}

/** Tell Gradio that a script has changed an input's value. */
function updateInput(target) {
    target.dispatchEvent(new Event("input", { bubbles: true }));
}

function easelCloseMenu() {
    document.querySelectorAll(".easel-menu").forEach((menu) => menu.remove());
}

/** A small menu at the pointer, or below an element: entries [words, act]. */
function easelMenu(place, entries) {
    easelCloseMenu();
    const menu = document.createElement("menu");
    menu.className = "easel-menu";
    menu.setAttribute("role", "menu");
    for (const [words, act] of entries) {
        const entry = document.createElement("button");
        entry.textContent = easelWords(words);
        entry.setAttribute("role", "menuitem");
        entry.addEventListener("click", () => {
            easelCloseMenu();
            act();
        });
        menu.append(entry);
    }
    (document.querySelector(".gradio-container") || document.body).append(menu);
    const [left, top] = place instanceof Event ? [place.clientX, place.clientY] : [place.getBoundingClientRect().left, place.getBoundingClientRect().bottom];
    const room = menu.getBoundingClientRect();
    menu.style.left = `${Math.max(0, Math.min(left, window.innerWidth - room.width - 8))}px`;
    menu.style.top = `${Math.max(0, Math.min(top, window.innerHeight - room.height - 8))}px`;
    menu.addEventListener("keydown", (event) => {
        const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
        if (step) {
            event.preventDefault();
            const all = Array.from(menu.children);
            all[(all.indexOf(document.activeElement) + step + all.length) % all.length].focus();
        }
    });
    menu.querySelector("button").focus();
}

// ---- what this page does

(() => {
    const ADDRESS = new URL(window.location.href);
    if (window.easelColorScheme && !ADDRESS.searchParams.has("__theme")) {
        ADDRESS.searchParams.set("__theme", window.easelColorScheme);
        window.history.replaceState(window.history.state, "", ADDRESS);
    }

    let baseTitle = "";
    let writtenTitle = null;
    let currentTab = null;
    let after = null;

    /** Progress in front of the browser tab's title, which Gradio may set again at any time. */
    function showTitle() {
        const bar = gradioApp().querySelector(".progressDiv");
        if (document.title !== writtenTitle) {
            baseTitle = document.title;
        }
        const wanted = (bar ? bar.dataset.title : "") + baseTitle;
        if (document.title !== wanted) {
            writtenTitle = wanted;
            document.title = wanted;
        }
    }

    function watchTab() {
        const tab = get_uiCurrentTab();
        if (tab && tab !== currentTab) {
            currentTab = tab;
            easelCall(easelCallbacks.tabChange);
        }
    }

    function loadedNow() {
        if (easelCallbacks.form !== null && gradioApp().querySelector("#txt2img_prompt")) {
            easelNow("form");
            window.setTimeout(makeTabs, 300);
        }
    }

    const made = new WeakSet();

    /**
     * Have every tab made, one whenever the browser has nothing else to do: Gradio makes what is in a tab when it is first
     * opened, and scripts of extensions look for it before. It is opened and left at once, so that nobody sees it.
     */
    function makeTabs() {
        const closed = Array.from(gradioApp().querySelectorAll('.tab-container button[role="tab"][data-tab-id][aria-selected="false"]'));
        const next = closed.find((button) => !made.has(button) && !button.disabled);
        if (!next) {
            easelNow("loaded");
            return;
        }
        if (Array.from(gradioApp().querySelectorAll(".overflow-dropdown")).some((menu) => menu.offsetParent)) {
            window.setTimeout(makeTabs, 500); // somebody chooses a tab: a click elsewhere would close the menu
            return;
        }
        made.add(next);
        const open = next.parentElement.querySelector('button[role="tab"][aria-selected="true"]');
        if (open) {
            made.add(open);
            next.click();
            open.click();
        }
        (window.requestIdleCallback || window.setTimeout)(makeTabs, { timeout: 1000 });
    }

    function start() {
        new MutationObserver((records) => {
            loadedNow();
            watchTab();
            showTitle();
            easelCall(easelCallbacks.update, records);
            window.clearTimeout(after);
            after = window.setTimeout(() => easelCall(easelCallbacks.afterUpdate), 200);
        }).observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ["aria-selected"] });
        new MutationObserver(showTitle).observe(document.head, { childList: true, subtree: true, characterData: true });
        loadedNow();
        if (window.easelColorScheme) {
            document.body.classList.toggle("dark", ADDRESS.searchParams.get("__theme") === "dark");
        }
    }

    // Gradio may insert the head's scripts after the document was read
    if (document.readyState === "loading") {
        document.addEventListener("DOMContentLoaded", start);
    } else {
        start();
    }

    /** Ctrl+Enter (Cmd+Enter) anywhere in a generation tab presses its Generate button. */
    document.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) {
            return;
        }
        const content = get_uiCurrentTabContent();
        const button = content && content.querySelector('button[id$="_generate"]');
        if (button && button.offsetParent !== null) {
            event.preventDefault();
            button.click();
        }
    });

    // Generate forever: a right click on a tab's Generate, Interrupt or Skip offers it; each tab for itself
    const forever = new Map();

    function setForever(tab, on) {
        clearInterval(forever.get(tab));
        forever.delete(tab);
        if (on) {
            const press = () => {
                const button = document.getElementById(`${tab}_generate`);
                if (button && button.offsetParent !== null && !button.disabled) {
                    button.click();
                }
            };
            press();
            forever.set(tab, setInterval(press, 500));
        }
    }

    // what extensions offer for a right click (appendContextMenuOption)
    document.addEventListener("contextmenu", (event) => {
        const offered = easelContextMenus.filter((entry) => event.target.closest && event.target.closest(entry.selector));
        if (offered.length) {
            event.preventDefault();
            const button = event.target.closest('button[id$="_generate"]');
            const tab = button && button.id.replace(/_generate$/, "");
            const own = button ? [["Generate forever", () => setForever(tab, true)], ["Cancel generate forever", () => setForever(tab, false)]] : [];
            easelMenu(event, [...own, ...offered.map((entry) => [entry.words, entry.act])]);
            event.stopImmediatePropagation();
        }
    }, true);

    document.addEventListener("contextmenu", (event) => {
        const button = event.target.closest('button[id$="_generate"], button[id$="_interrupt"], button[id$="_skip"]');
        easelCloseMenu();
        if (!button) {
            return;
        }
        event.preventDefault();
        const tab = button.id.replace(/_(generate|interrupt|skip)$/, "");
        const own = [["Generate forever", () => setForever(tab, true)], ["Cancel generate forever", () => setForever(tab, false)]];
        easelMenu(event, own);
    });
    // the clicks that "forever" makes itself are not the user's
    document.addEventListener("click", (event) => event.isTrusted && !event.target.closest("#txt2img_aspect_btn, #img2img_aspect_btn") && easelCloseMenu());
    document.addEventListener("keydown", (event) => event.key === "Escape" && easelCloseMenu());

    /** The clipboard; where the browser has none (plain http on another machine), a hidden text field does it. */
    async function copy(text) {
        if (navigator.clipboard && window.isSecureContext) {
            await navigator.clipboard.writeText(text);
            return;
        }
        const field = document.createElement("textarea");
        field.value = text;
        field.style.position = "fixed";
        field.style.opacity = "0";
        document.body.append(field);
        field.select();
        document.execCommand("copy");
        field.remove();
    }

    document.addEventListener("click", (event) => {
        const copier = event.target.closest(".easel-copy");
        if (copier) {
            copy(copier.dataset.copy).then(
                () => { copier.textContent = easelWords("Copied"); },
                () => { copier.textContent = easelWords("Not copied"); },
            );
            setTimeout(() => { copier.textContent = easelWords("Copy"); }, 1500);
        }
        const link = event.target.closest("[data-goto]");
        if (link) {
            const section = document.getElementById(link.dataset.goto);
            if (section) {
                section.scrollIntoView({ behavior: "smooth", block: "start" });
            }
        }
    });
})();
