// Parts of the page that this script draws; the Python side is modules/web/ui/island.py.

/** The name of a part -> function (element, ask, tell) that draws it. */
const easelParts = {};

/** Draw a part as soon as its script is there. */
function easelIsland(kind, element, ask, tell) {
    const draw = easelParts[kind];
    if (!draw) {
        window.setTimeout(() => easelIsland(kind, element, ask, tell), 50);
        return;
    }
    const holder = easelMake("div", { class: `easel-part easel-${kind}` }, Array.from(element.childNodes));
    element.replaceChildren(holder);
    draw(holder, ask, tell);
}

/** What a question was answered with; an error is thrown with its words. */
function easelAnswer(said) {
    if (said && said.error) {
        throw new Error(said.error);
    }
    return said ? said.answer : null;
}

/** `ask`, whose answers come in the order of the questions: one that a later question has overtaken is null. */
function easelInOrder(ask) {
    let asked = 0;
    let answered = 0;
    return async (name, told) => {
        asked += 1;
        const mine = asked;
        const answer = await ask(name, told);
        if (mine < answered) {
            return null;
        }
        answered = mine;
        return answer;
    };
}

/** Wait for a job's end -> its last state; `ask` answers "follow". */
async function easelEnded(ask, id) {
    let state = await ask("follow", { id });
    while (!state.ended) {
        await new Promise((done) => window.setTimeout(done, 500));
        state = await ask("follow", { id });
    }
    return state;
}

/** An element: attributes (on… are listeners, null is left out) and children (texts are texts, never HTML). */
function easelMake(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (value === null || value === undefined || value === false) {
            continue;
        }
        if (name.startsWith("on")) {
            made.addEventListener(name.slice(2), value);
        } else if (name === "value" || name === "checked" || name === "disabled") {
            made[name] = value;
        } else {
            made.setAttribute(name, value === true ? "" : value);
        }
    }
    made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
    return made;
}

/** A button with words; `symbol` shows in their place, and they are what it is called. */
function easelButton(words, act, { symbol = null, kind = "", id = null, disabled = false, pressed = null } = {}) {
    const name = easelWords(words);
    return easelMake(
        "button",
        {
            type: "button",
            class: `easel-button ${symbol ? "easel-symbol" : ""} ${kind}`.trim(),
            id,
            title: name,
            "aria-label": symbol ? name : null,
            "aria-pressed": pressed === null ? null : String(pressed),
            disabled,
            onclick: act,
        },
        symbol || name,
    );
}

/** A field with its label; gives [the whole, the input]. */
function easelField(words, input, { inline = false } = {}) {
    const whole = easelMake("label", { class: inline ? "easel-field easel-inline" : "easel-field" });
    const text = easelMake("span", {}, easelWords(words));
    whole.append(...(inline ? [input, text] : [text, input]));
    return [whole, input];
}

/** In the page's language. */
function easelWords(text) {
    return typeof getTranslation === "function" ? getTranslation(text) || text : text;
}

/** Seconds since 1970 as the reader writes them. */
function easelDate(seconds) {
    return seconds ? new Date(seconds * 1000).toLocaleString([], { dateStyle: "short", timeStyle: "medium" }) : "";
}

/** A line that says what happened or went wrong; empty hides it. */
function easelSaid() {
    const line = easelMake("p", { class: "easel-said", role: "status", "aria-live": "polite" });
    return {
        line,
        say(words, wrong = false) {
            line.textContent = words;
            line.classList.toggle("error", wrong);
        },
    };
}

/** Call `act` now and then while `element` is on the screen: `soon` gives the milliseconds until the next time. */
function easelWhileShown(element, act, soon) {
    let timer = null;
    let shown = false;
    const round = async () => {
        window.clearTimeout(timer);
        if (!shown || !element.isConnected) {
            return;
        }
        await act();
        timer = window.setTimeout(round, soon());
    };
    new IntersectionObserver((entries) => {
        const now = entries.some((entry) => entry.isIntersecting);
        if (now && !shown) {
            shown = true;
            round();
        }
        shown = now;
    }).observe(element);
    return round;
}

/** A dialog over the page; Escape and its cross close it, and the focus goes back to where it was. */
function easelDialog(title, content, { wide = false, onclose = null } = {}) {
    const box = easelMake("dialog", { class: `easel-dialog ${wide ? "wide" : ""}`, "aria-label": easelWords(title) });
    const close = () => box.close();
    box.append(
        easelMake(
            "header",
            {},
            easelMake("h3", {}, easelWords(title)),
            easelButton("Close", close, { symbol: "✕" }),
        ),
        content,
    );
    const before = document.activeElement;
    box.addEventListener("click", (event) => event.target === box && close());
    box.addEventListener("close", () => {
        box.remove();
        if (onclose) {
            onclose();
        }
        if (before && before.focus) {
            before.focus();
        }
    });
    (document.querySelector(".gradio-container") || document.body).append(box);
    box.showModal();
    return box;
}
