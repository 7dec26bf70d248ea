// The Extensions tab. Python side: modules/web/ui/extensions.py.

easelParts.extensions = (holder, ask) => {
    const said = easelSaid();
    const list = easelMake("ul", { class: "easel-jobs", "aria-label": easelWords("Extensions") });
    const where = easelMake("p", { class: "comments" });
    holder.append(easelMake("div", { class: "easel-bar" }, easelButton("Look again", () => load(), { id: "extensions_refresh" }), said.line), list, where);

    function show(found) {
        where.textContent = `${easelWords("To install one, copy its folder into")} ${found.folder}`;
        list.replaceChildren(...found.extensions.map(draw));
        said.say((found.words || []).join(" "));
    }

    async function load(act = null, name = null) {
        try {
            show(await (act ? ask("do", { act, name }) : ask("list")));
        } catch (error) {
            said.say(error.message, true);
        }
    }

    function draw(extension) {
        const on = extension.state === "loaded";
        const facts = [extension.version, easelWords(extension.builtin ? "comes with Easel" : extension.own ? "" : "made for A1111"), easelWords(extension.state)];
        return easelMake(
            "li",
            { class: `easel-job ${extension.state === "failed" ? "failed" : ""}`, "data-name": extension.name },
            easelMake("input", { type: "checkbox", checked: on, "aria-label": `${easelWords("Enabled")}: ${extension.title}`, onchange: (event) => load(event.target.checked ? "enable" : "disable", extension.name) }),
            easelMake(
                "div",
                { class: "easel-job-words" },
                easelMake("strong", { class: "easel-plain" }, extension.title),
                easelMake("small", {}, facts.filter(Boolean).join(" · ")),
                extension.description ? easelMake("p", { class: "comments easel-plain" }, extension.description) : null,
                extension.error ? easelMake("p", { class: "error easel-plain" }, extension.error) : null,
                extension.traceback ? easelMake("details", {}, easelMake("summary", {}, easelWords("The whole message")), easelMake("pre", {}, extension.traceback)) : null,
            ),
            on ? easelButton("Load again", () => load("reload", extension.name), { symbol: "↻" }) : null,
        );
    }

    new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && !list.children.length && load()).observe(holder);
};
