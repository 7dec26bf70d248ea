// Zoom and pan of the pictures that are painted on, by A1111's hotkeys (Settings, "Canvas Hotkeys").
//
// Gradio's editor zooms and pans by itself, so that paint lies where the pointer is: it is only told to. A wheel with
// Alt is its zoom about the pointer, one without is its pan; what is told so is not `isTrusted` and not taken for the
// user's. The brush's size is its own slider.

(() => {
    const selectors = new Set(["#img2img_sketch", "#img2maskimg", "#inpaint_sketch"]);
    const NOTCH = 100; // pixels of a wheel's click
    const ZOOM = 1.15; // by a click of the wheel
    const SOFT = 50; // pixels from which Gradio takes a wheel for a mouse's; below it is a finger's
    const SHOWN = 1500; // milliseconds that the slider of the brush stays

    const FUNCTIONS = [
        { name: "Zoom", option: "canvas_hotkey_zoom", words: "Zoom", wheel: (editor, event) => zoom(editor, event) },
        { name: "Adjust brush size", option: "canvas_hotkey_adjust", words: "Brush size", wheel: (editor, event) => resize(editor, -Math.sign(event.deltaY)) },
        { name: "Hotkey shrink brush", option: "canvas_hotkey_shrink_brush", words: "Smaller brush", key: (editor) => resize(editor, -1) },
        { name: "Hotkey enlarge brush", option: "canvas_hotkey_grow_brush", words: "Larger brush", key: (editor) => resize(editor, 1) },
        { name: "Moving canvas", option: "canvas_hotkey_move", words: "Move (hold it, move the pointer)", key: (editor) => hold(editor) },
        { name: "Fullscreen", option: "canvas_hotkey_fullscreen", words: "Fill the window, and back", key: (editor) => whole(editor) },
        { name: "Reset Zoom", option: "canvas_hotkey_reset", words: "Fit into its frame", key: (editor) => fit(editor) },
        { name: "Overlap", option: "canvas_hotkey_overlap", words: "Lie over what is beside it, and back", key: (editor) => over(editor) },
    ];

    let under = null; // the editor under the pointer
    let moving = null; // the editor that is moved
    let pointer = { x: 0, y: 0 };
    const empty = new Map(); // editor -> whether it has no picture
    const timers = new Map();
    let sizing = Promise.resolve();

    const frame = () => new Promise((done) => requestAnimationFrame(() => window.setTimeout(done, 0)));
    const editors = () => Array.from(gradioApp().querySelectorAll(Array.from(selectors).join(", ")));
    const editorOf = (target) => (target && target.closest ? target.closest(Array.from(selectors).join(", ")) : null);
    const canvasOf = (editor) => editor.querySelector(".pixi-target canvas");
    const usable = (each) => Boolean(opts[each.option]) && !(opts.canvas_disabled_functions || []).includes(each.name);
    const labelled = (editor, ...names) => Array.from(editor.querySelectorAll("button[aria-label]")).find((button) => names.some((name) => [name, easelWords(name)].includes(button.getAttribute("aria-label"))));

    // ---- what the editor is told

    function wheel(editor, x, y, more) {
        const canvas = canvasOf(editor);
        if (canvas) {
            canvas.dispatchEvent(new WheelEvent("wheel", { bubbles: true, cancelable: true, clientX: x, clientY: y, ...more }));
        }
    }

    /** Gradio's formula backwards: a scale is multiplied by 1 - 0.0005 deltaY, a finger's by 1 - 0.001 deltaY. */
    function zoom(editor, event) {
        const pixels = event.deltaY * (event.deltaMode === 0 ? 1 : 33) || event.deltaX;
        const change = 1 - Math.min(2, Math.max(0.5, ZOOM ** (-pixels / NOTCH)));
        wheel(editor, event.clientX, event.clientY, { altKey: true, deltaY: change / (Math.abs(change) < 0.025 ? 0.001 : 0.0005) });
    }

    // Gradio's editor begins to listen once more with every picture and never ends (6.31), so that it moves several
    // times as far as it is told; how often it listens is counted here. Its zoom is the same however often it hears.
    const ears = new WeakMap();
    const listen = HTMLCanvasElement.prototype.addEventListener;
    HTMLCanvasElement.prototype.addEventListener = function counted(type, ...given) {
        if (type === "wheel" && given[1] && given[1].passive === false) {
            ears.set(this, (ears.get(this) || 0) + 1);
        }
        return listen.call(this, type, ...given);
    };

    /** Gradio moves by a tenth of deltaX and deltaY, for a finger by three tenths. */
    function pan(editor, x, y) {
        const part = (Math.abs(y / 0.3) < SOFT ? 0.3 : 0.1) * (ears.get(canvasOf(editor)) || 1);
        wheel(editor, pointer.x, pointer.y, { deltaX: -x / part, deltaY: -y / part });
    }

    /** Its own entry "Fit to screen". */
    async function fit(editor) {
        const number = editor.querySelector(".zoom-number > span");
        if (number && !editor.querySelector(".zoom-controls")) {
            number.click();
            await frame();
        }
        const entry = editor.querySelector(".zoom-controls button");
        if (entry) {
            entry.click();
        }
    }

    function resize(editor, direction) {
        sizing = sizing.then(() => resizeNow(editor, direction)).catch((error) => console.error("canvas zoom:", error));
    }

    /** Move the slider of brush or eraser, which shows for a moment. */
    async function resizeNow(editor, direction) {
        const opener = () => labelled(editor, "Brush Size", "Eraser Size");
        const slider = () => editor.querySelector(".toolbar-wrap input[type=range]");
        if (!opener() && labelled(editor, "Brush")) {
            labelled(editor, "Brush").click();
            await frame();
        }
        if (opener() && !slider()) {
            opener().click();
            await frame();
        }
        if (!slider()) {
            return;
        }
        const now = Number(slider().value);
        slider().value = Math.min(Number(slider().max), Math.max(Number(slider().min), now + direction * Math.max(1, Math.round(now * 0.15))));
        slider().dispatchEvent(new Event("input", { bubbles: true }));
        window.clearTimeout(timers.get(editor));
        timers.set(editor, window.setTimeout(() => slider() && editor.dispatchEvent(new MouseEvent("mousedown", { bubbles: true })), SHOWN)); // a click beside it closes it
    }

    // ---- where it lies

    async function place(editor, name, wanted) {
        editor.classList.toggle(name, wanted);
        await frame();
        await frame(); // the editor takes its new size first
        await fit(editor);
    }

    function whole(editor) {
        editor.classList.remove("canvas-zoom-over");
        return place(editor, "canvas-zoom-whole", !editor.classList.contains("canvas-zoom-whole"));
    }

    function over(editor) {
        const wanted = !editor.classList.contains("canvas-zoom-over");
        editor.classList.remove("canvas-zoom-whole");
        editor.style.setProperty("--canvas-zoom-width", `${document.documentElement.clientWidth - 2 * editor.getBoundingClientRect().left}px`);
        return place(editor, "canvas-zoom-over", wanted);
    }

    function hold(editor) {
        moving = editor;
        editor.classList.add("canvas-zoom-moving");
    }

    function letGo() {
        if (moving) {
            moving.classList.remove("canvas-zoom-moving");
            moving = null;
        }
    }

    // ---- what the user does

    const TYPED = "textarea, select, [contenteditable=true], input:not([type=range], [type=checkbox], [type=radio], [type=button])";
    const HELD = { Shift: "shiftKey", Ctrl: "ctrlKey", Alt: "altKey" };

    function turned(event) {
        const editor = editorOf(event.target);
        if (!editor || !event.isTrusted || !event.target.closest(".image-container")) {
            return;
        }
        const asked = FUNCTIONS.find((each) => each.wheel && usable(each) && event[HELD[opts[each.option]]]);
        if (asked) {
            event.preventDefault();
            event.stopPropagation();
            asked.wheel(editor, event);
        } else if (event.altKey || event.metaKey) { // Gradio's own hotkey, which is another's here, or nobody's
            event.stopPropagation();
        }
    }

    function pressed(event) {
        if (!under || event.ctrlKey || event.altKey || event.metaKey || (event.target.closest && event.target.closest(TYPED))) {
            return;
        }
        if (event.key === "Escape" && under.classList.contains("canvas-zoom-whole")) {
            whole(under);
            return;
        }
        const means = (text) => event.key.toUpperCase() === text.toUpperCase() || event.code === `Key${text.toUpperCase()}`;
        const asked = FUNCTIONS.find((each) => each.key && usable(each) && means(String(opts[each.option])));
        if (asked) {
            event.preventDefault();
            asked.key(under);
        }
    }

    function moved(event) {
        const now = editorOf(event.target);
        if (now && now !== under && opts.canvas_blur_prompt && document.activeElement && document.activeElement.matches(TYPED)) {
            document.activeElement.blur();
        }
        if (moving && now !== moving) {
            letGo();
        }
        if (moving) {
            pan(moving, event.clientX - pointer.x, event.clientY - pointer.y);
        }
        under = now;
        pointer = { x: event.clientX, y: event.clientY };
    }

    // ---- what is seen

    /** [keys, what they do] of all that is in use, as the settings are now. */
    const hotkeys = () => FUNCTIONS.filter(usable).map((each) => [`${opts[each.option]}${each.wheel ? ` + ${easelWords("wheel")}` : ""}`, each.words]);

    function hints(editor) {
        const before = editor.querySelector(":scope > .canvas-tooltip");
        if (before) {
            before.remove();
        }
        const told = hotkeys().map(([keys, words]) => easelMake("li", {}, easelMake("b", {}, keys), ` – ${easelWords(words)}`));
        if (opts.canvas_show_tooltip && told.length) {
            editor.append(easelMake(
                "div",
                { class: "canvas-tooltip" },
                easelMake("button", { type: "button", class: "canvas-tooltip-info", "aria-label": easelWords("Hotkeys of the canvas") }, "i"),
                easelMake("ul", { class: "canvas-tooltip-content" }, told),
            ));
        }
    }

    /** A wheel is heard at the editor, not everywhere: a page with such a listener scrolls worse. */
    function look() {
        for (const editor of editors()) {
            if (!empty.has(editor)) {
                editor.addEventListener("wheel", turned, { capture: true, passive: false });
                hints(editor);
            }
            const now = !canvasOf(editor) || Boolean(editor.querySelector(".empty"));
            if (!now && empty.get(editor) !== false && opts.canvas_auto_expand) {
                window.setTimeout(() => fit(editor), 100);
            }
            empty.set(editor, now);
        }
    }

    /** For other extensions, by A1111's names: one more editor. */
    function applyZoomAndPan(selector) {
        selectors.add(selector);
        look();
    }

    easelHotkeys("Hotkeys of the canvas", hotkeys);
    window.applyZoomAndPan = applyZoomAndPan;
    window.applyZoomAndPanIntegration = (holder, found) => found.forEach(applyZoomAndPan);

    onUiLoaded(() => {
        look();
        onUiUpdate(look);
        document.addEventListener("pointermove", moved, true);
        document.addEventListener("pointerdown", (event) => moving && editorOf(event.target) === moving && event.stopPropagation(), true);
        document.addEventListener("keydown", pressed);
        document.addEventListener("keyup", letGo);
        window.addEventListener("blur", letGo);
    });
    onOptionsChanged(() => Array.from(empty.keys()).filter((editor) => editor.isConnected).forEach(hints));
})();
