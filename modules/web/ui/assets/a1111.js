// Entry points that extensions of A1111 call, by A1111's names. What they promise is A1111's; the text is Easel's own.

var opts = {};
const easelOptionCallbacks = [];
var opts_metadata = {};
var localization = window.localization || {};
var titles = {};
var activePromptTextarea = {};
var desiredCheckpointName = null;

/** Called once the options are known, and after each change of one. */
function onOptionsChanged(callback) {
    easelOptionCallbacks.push(callback);
}

/** The options as the server has them now: text of a JSON object. */
function easelOptions(text) {
    const before = JSON.stringify(opts);
    if (!text || text === before) {
        return;
    }
    const now = JSON.parse(text);
    for (const key of Object.keys(opts)) {
        if (!(key in now)) {
            delete opts[key];
        }
    }
    Object.assign(opts, now); // the same object: extensions keep it
    window.opts = opts;
    easelCall(easelOptionCallbacks);
}

/** A name for a job that nobody else has. */
function randomId() {
    const letters = Math.random().toString(36).slice(2, 7) + Math.random().toString(36).slice(2, 7) + Date.now().toString(36);
    return `task(${letters})`;
}

/** What the page says in the reader's language; undefined where nothing is known. */
function getTranslation(text) {
    const plain = text && localization ? String(text).trim() : "";
    return plain ? localization[plain] || easelPhrase(plain) : undefined;
}

const easelPhrases = { of: null, rows: [] };
const EASEL_COUNTS = ["batch", "count", "defaults", "jobs", "pictures", "place", "step"];

/** Sentences with something in them ("Step 3/20"), by texts with names in braces ("Step {step}"); also several with dots between. */
function easelPhrase(text) {
    if (easelPhrases.of !== localization) {
        const known = Object.entries(localization).filter(([said]) => /\{\w+\}/.test(said));
        const pattern = (said) => said.split(/(\{\w+\})/).map((part, place) => place % 2 ? (EASEL_COUNTS.includes(part.slice(1, -1)) ? "([\\d/]+)" : "(.+?)") : part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
        easelPhrases.rows = known.map(([said, told]) => ({ form: new RegExp(`^${pattern(said).join("")}$`, "s"), names: said.match(/\{\w+\}/g), told }));
        easelPhrases.of = localization;
    }
    for (const { form, names, told } of text.length < 2000 ? easelPhrases.rows : []) {
        const found = text.match(form);
        if (found) {
            return told.replace(/\{\w+\}/g, (name) => {
                const put = found[names.indexOf(name) + 1] || name;
                return localization[put] || put;
            });
        }
    }
    if (!text.includes(" · ")) {
        return undefined;
    }
    const made = text.split(" · ").map((part) => getTranslation(part) || part).join(" · ");
    return made === text ? undefined : made;
}

// ---- tabs

/** Open a tab; one inside a tab that was never open is waited for, since it is made when that one opens. */
function easelOpenTab(holder, name, patience = 100) {
    const buttons = gradioApp().querySelectorAll(`#${holder} > .tab-wrapper button[role="tab"], #${holder} > .tab-nav button`);
    const wanted = typeof name === "number" ? buttons[name] : Array.from(buttons).find((button) => button.id === `${name}-button` || button.textContent.trim() === name);
    if (wanted) {
        wanted.click();
    } else if (patience > 0) {
        window.setTimeout(() => easelOpenTab(holder, name, patience - 1), 100);
    }
}

function switch_to_txt2img(...given) {
    easelOpenTab("tabs", "tab_txt2img");
    return given;
}

function switch_to_img2img_tab(mode) {
    easelOpenTab("tabs", "tab_img2img");
    easelOpenTab("mode_img2img", mode);
}

function switch_to_img2img(...given) {
    switch_to_img2img_tab(0);
    return given;
}

function switch_to_sketch(...given) {
    switch_to_img2img_tab(1);
    return given;
}

function switch_to_inpaint(...given) {
    switch_to_img2img_tab(2);
    return given;
}

function switch_to_inpaint_sketch(...given) {
    switch_to_img2img_tab(3);
    return given;
}

function switch_to_extras(...given) {
    easelOpenTab("tabs", "tab_extras");
    return given;
}

/** Which tab of a group is shown, counted from 0. */
function get_tab_index(id) {
    const buttons = gradioApp().querySelectorAll(`#${id} > .tab-wrapper button[role="tab"]`);
    return Math.max(0, Array.from(buttons).findIndex((button) => button.getAttribute("aria-selected") === "true"));
}

function get_img2img_tab_index(...given) {
    given.splice(-2);
    given[0] = get_tab_index("mode_img2img");
    return given;
}

// Gradio 3's fields stood right below their labels, and scripts look for "#txt2img_prompt > label > textarea": where nothing
// is found so, what the label holds is.
{
    const FIELD = /label\s*>\s*(?=textarea|input)/g;
    for (const kind of [Document, Element]) {
        for (const name of ["querySelector", "querySelectorAll"]) {
            const plain = kind.prototype[name];
            kind.prototype[name] = function (selector) {
                const found = plain.call(this, selector);
                const none = found === null || (found instanceof NodeList && found.length === 0);
                const wider = none ? String(selector).replace(FIELD, "label ") : selector;
                return wider === selector ? found : plain.call(this, wider);
            };
        }
    }
}

/** Id of an element -> the tag below it whose texts are left as they are in every language; extensions add theirs. */
var ignore_ids_for_localization = {};

// ---- what is in the gallery

/** Save the picture that is shown, as the button below the gallery does. */
function modalSaveImage(event) {
    const tab = get_uiCurrentTabContent();
    const button = tab && tab.querySelector("[id^=save_]");
    if (button) {
        button.click();
    }
    if (event) {
        event.preventDefault();
    }
}

function all_gallery_buttons() {
    const buttons = gradioApp().querySelectorAll('[style="display: block;"].tabitem div[id$=_gallery] .thumbnail-item.thumbnail-small, div[id$=_gallery] .thumbnails > .thumbnail-item');
    return Array.from(buttons).filter((button) => button.offsetParent !== null);
}

function selected_gallery_button() {
    return all_gallery_buttons().find((button) => button.classList.contains("selected")) || null;
}

function selected_gallery_index() {
    return all_gallery_buttons().findIndex((button) => button.classList.contains("selected"));
}

function gallery_container_buttons(id) {
    return gradioApp().querySelectorAll(`#${id} .thumbnail-item.thumbnail-small, #${id} .thumbnails > .thumbnail-item`);
}

function selected_gallery_index_id(id) {
    return Array.from(gallery_container_buttons(id)).findIndex((button) => button.classList.contains("selected"));
}

function extract_image_from_gallery(gallery) {
    if (!gallery || gallery.length === 0) {
        return [null];
    }
    return [gallery[Math.max(0, Math.min(selected_gallery_index(), gallery.length - 1))]];
}

function rememberGallerySelection() {}

function attachGalleryListeners(tab) {
    const gallery = gradioApp().querySelector(`#${tab}_gallery`);
    if (gallery) {
        gallery.addEventListener("click", () => window.setTimeout(() => {
            const button = gradioApp().getElementById(`${tab}_generation_info_button`);
            if (button) {
                button.click();
            }
        }, 0));
    }
    return gallery;
}

// ---- submitting

function args_to_array(given) {
    return Array.from(given);
}

/** The arguments of a submission: a copy, less the outputs that Gradio 3 handed along. */
function create_submit_args(given) {
    return Array.from(given);
}

function showSubmitButtons(tab, show) {
    for (const [name, shown] of [["interrupt", !show], ["skip", !show], ["generate", show]]) {
        const button = gradioApp().getElementById(`${tab}_${name}`);
        if (button) {
            button.style.display = shown ? "" : "none";
        }
    }
}

function showSubmitInterruptingPlaceholder() {}

/** Press a tab's Generate; gives the arguments back with a fresh id in front, as A1111's did. */
function submit(...given) {
    const copied = create_submit_args(given);
    copied[0] = randomId();
    return copied;
}

function submit_img2img(...given) {
    return submit(...given);
}

function submit_extras(...given) {
    return submit(...given);
}

function selectCheckpoint(name) {
    desiredCheckpointName = name;
    const button = gradioApp().getElementById("change_checkpoint");
    if (button) {
        button.click();
    }
}

function dimensionChange() {}

function currentImg2imgSourceResolution(width, height, factor) {
    const image = gradioApp().querySelector('#mode_img2img > div[style="display: block;"] :is(img, canvas)');
    return image ? [image.naturalWidth || image.width, image.naturalHeight || image.height, factor] : [0, 0, factor];
}

// ---- the menu of the right mouse button

const easelContextMenus = [];
let easelContextNumber = 0;

/** Offer something for a right click on an element -> a number for removeContextMenuOption. */
function appendContextMenuOption(selector, words, act) {
    easelContextNumber += 1;
    easelContextMenus.push({ number: easelContextNumber, selector, words, act });
    return easelContextNumber;
}

function removeContextMenuOption(number) {
    const place = easelContextMenus.findIndex((entry) => entry.number === number);
    if (place >= 0) {
        easelContextMenus.splice(place, 1);
    }
}

// ---- progress of a job that an extension has queued

function formatTime(seconds) {
    const two = (number) => String(Math.floor(number)).padStart(2, "0");
    return seconds > 3600 ? `${Math.floor(seconds / 3600)}:${two((seconds / 60) % 60)}:${two(seconds % 60)}` : seconds > 60 ? `${Math.floor(seconds / 60)}:${two(seconds % 60)}` : `${Math.floor(seconds)}s`;
}

function request(url, data, answered, failed) {
    fetch(url, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(data) })
        .then((response) => (response.ok ? response.json() : Promise.reject(response)))
        .then(answered, failed || (() => {}));
}

/** Draw a job's bar before `holder` and its preview over `gallery` until it ends, or is unheard of for a while. */
function requestProgress(id, holder, gallery, atEnd, onProgress, inactivity = 40) {
    const begun = Date.now();
    let active = false;
    let shownId = -1;
    const bar = easelMake("div", { class: "progressDiv" }, easelMake("div", { class: "progress" }), easelMake("div", { class: "progressText" }));
    const picture = easelMake("img", { class: "livePreview", alt: "" });
    holder.before(bar);

    function end() {
        bar.remove();
        picture.remove();
        if (atEnd) {
            atEnd();
        }
    }

    function draw(now) {
        if (now.completed || (active && !now.active && !now.queued) || (!active && !now.active && !now.queued && Date.now() - begun > inactivity * 1000)) {
            end();
            return;
        }
        active = active || now.active;
        const percent = Math.round(100 * (now.progress || 0));
        bar.firstChild.style.width = `${percent}%`;
        bar.lastChild.textContent = now.progress > 0 ? `${percent}%${now.eta ? ` ETA: ${formatTime(now.eta)}` : ""}` : now.textinfo || "";
        if (now.live_preview && gallery) {
            shownId = now.id_live_preview;
            picture.src = now.live_preview;
            if (!picture.isConnected) {
                gallery.prepend(picture);
            }
        }
        if (onProgress) {
            onProgress(now);
        }
        window.setTimeout(ask, (opts && opts.live_preview_refresh_period) || 500);
    }

    function ask() {
        request("./internal/progress", { id_task: id, id_live_preview: shownId, live_preview: Boolean(gallery) }, draw, end);
    }
    ask();
}

// ---- small things

function toggleCss(key, css, enable) {
    let style = document.getElementById(key);
    if (enable && !style) {
        style = easelMake("style", { id: key });
        document.head.append(style);
    }
    if (style) {
        style.textContent = enable ? css : "";
    }
}

/** Show an element of one's own over the page. */
function popup(contents) {
    window.easelPopup = easelDialog("", contents, { wide: true });
}

function closePopup() {
    if (window.easelPopup) {
        window.easelPopup.close();
    }
}

function restart_reload() {
    document.body.style.cursor = "wait";
    const round = () => fetch("./internal/ping").then((answer) => (answer.ok ? window.location.reload() : window.setTimeout(round, 500)), () => window.setTimeout(round, 500));
    window.setTimeout(round, 2000);
    return [];
}

function uiElementIsVisible(element) {
    return element === document || (getComputedStyle(element).display !== "none" && (!element.parentNode || uiElementIsVisible(element.parentNode)));
}

function uiElementInSight(element) {
    const box = element.getBoundingClientRect();
    return box.bottom > 0 && box.top < window.innerHeight;
}
