// The Queue tab. Python side: modules/web/ui/queue.py.

easelParts.queue = (holder, ask) => {
    const said = easelSaid();
    const running = easelMake("ul", { class: "easel-jobs", "aria-label": easelWords("Running") });
    const waiting = easelMake("ol", { class: "easel-jobs", "aria-label": easelWords("Waiting") });
    const ended = easelMake("ul", { class: "easel-jobs", "aria-label": easelWords("Ended") });
    const waitingTitle = easelMake("h3", {}, easelWords("Waiting"));
    const pause = easelButton("Pause", () => act(state.paused ? "resume" : "pause"), { id: "queue_pause" });
    const clear = easelButton("Cancel all that wait", () => window.confirm(easelWords("Cancel all that wait") + "?") && act("clear"), { id: "queue_clear" });
    const filter = easelMake("select", { "aria-label": easelWords("Which"), id: "queue_filter", onchange: () => showEnded(false) });
    for (const [value, words] of [["", "All"], ["failed", "Failed"], ["done", "Done"], ["cancelled", "Cancelled"]]) {
        filter.append(easelMake("option", { value }, easelWords(words)));
    }
    const more = easelButton("Show more", () => showEnded(true), { id: "queue_more" });
    let state = { changes: null, paused: false, running: [], waiting: [] };
    let beyond = null;
    let seen = null;
    let drawn = null;
    const inOrder = easelInOrder(ask);
    const endedInOrder = easelInOrder(ask);

    holder.append(
        easelMake("div", { class: "easel-bar" }, pause, clear, said.line),
        easelMake("h3", {}, easelWords("Running")), running,
        waitingTitle, waiting,
        easelMake("div", { class: "easel-bar" }, easelMake("h3", {}, easelWords("Ended")), filter), ended, more,
    );

    async function act(name, id = null) {
        try {
            show(await inOrder("do", { act: name, id }));
            said.say("");
        } catch (error) {
            said.say(error.message, true);
        }
    }

    async function round() {
        try {
            show(await inOrder("state", { preview: true, seen }));
        } catch (error) {
            if (!/fetch/i.test(error.message)) {
                said.say(error.message, true);
            }
        }
    }

    function show(now) {
        if (!now) {
            return;
        }
        const changed = now.changes !== drawn;
        state = now;
        pause.textContent = easelWords(now.paused ? "Go on" : "Pause");
        pause.setAttribute("aria-pressed", String(now.paused));
        clear.disabled = !now.waiting.length;
        showRunning(now.running);
        waitingTitle.textContent = `${easelWords("Waiting")} (${now.waiting.length})${now.paused ? ` · ${easelWords("paused")}` : ""}`;
        if (changed) {
            drawn = now.changes;
            waiting.replaceChildren(...now.waiting.map(drawWaiting));
            showEnded(false);
        }
    }

    function showRunning(jobs) {
        const known = new Map(Array.from(running.children).map((item) => [item.dataset.id, item]));
        running.replaceChildren(...jobs.map((job) => {
            const item = known.get(job.id) || drawRunning(job);
            const percent = Math.round(100 * job.fraction);
            item.querySelector(".progressDiv").setAttribute("aria-valuenow", String(percent));
            item.querySelector(".progress").style.width = `${percent}%`;
            item.querySelector(".progressText").textContent = `${percent}% ${easelWords(job.words)}`;
            if (job.preview) {
                seen = job.preview_id;
                const picture = item.querySelector("img");
                picture.src = job.preview;
                picture.hidden = false;
            }
            return item;
        }));
        if (!jobs.length) {
            seen = null;
            running.append(easelMake("li", { class: "comments" }, easelWords("Nothing is running.")));
        }
    }

    const head = (job) => easelMake(
        "div",
        { class: "easel-job-words" },
        easelMake("strong", { class: "easel-plain" }, job.title || easelWords("No prompt")),
        easelMake("small", { class: "easel-plain" }, [job.kind, job.about, job.owner && job.owner !== "ui" ? job.owner : "", easelDate(job.finished || job.created)].filter(Boolean).join(" · ")),
    );

    function drawRunning(job) {
        const bar = easelMake("div", { class: "progressDiv", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100", "aria-label": easelWords("Progress") }, easelMake("div", { class: "progress" }), easelMake("div", { class: "progressText" }));
        return easelMake(
            "li",
            { "data-id": job.id, class: "easel-job" },
            easelMake("img", { class: "easel-thumb", alt: easelWords("The picture so far"), hidden: true }),
            easelMake("div", { class: "easel-job-words" }, head(job), bar),
            easelButton("Skip", () => act("skip", job.id)),
            easelButton("Interrupt", () => act("interrupt", job.id), { kind: "stop" }),
        );
    }

    function drawWaiting(job, place, all) {
        return easelMake(
            "li",
            { "data-id": job.id, class: "easel-job" },
            easelMake("span", { class: "easel-place" }, String(place + 1)),
            head(job),
            easelButton("To the front", () => act("first", job.id), { symbol: "⤒", disabled: place === 0 }),
            easelButton("Up", () => act("up", job.id), { symbol: "↑", disabled: place === 0 }),
            easelButton("Down", () => act("down", job.id), { symbol: "↓", disabled: place === all.length - 1 }),
            easelButton("To the end", () => act("last", job.id), { symbol: "⤓", disabled: place === all.length - 1 }),
            easelButton("Cancel", () => act("cancel", job.id), { symbol: "✕" }),
        );
    }

    function drawEnded(job) {
        const words = { done: "Done", failed: "Failed", cancelled: "Cancelled" }[job.state];
        const seconds = job.seconds === null ? "" : ` · ${job.seconds.toFixed(1)} s`;
        return easelMake(
            "li",
            { "data-id": job.id, class: `easel-job ${job.state}` },
            easelMake("span", { class: "easel-thumbs" }, job.pictures.map((src) => easelMake("img", { class: "easel-thumb", src, alt: "", loading: "lazy" }))),
            easelMake(
                "div",
                { class: "easel-job-words" },
                head(job),
                easelMake("small", {}, `${easelWords(words)}${seconds}${job.count > 1 ? ` · ${job.count}` : ""}`),
                job.error ? easelMake("p", { class: "error" }, job.error) : null,
                job.comments.map((comment) => easelMake("p", { class: "comments" }, comment)),
            ),
            easelButton("Again", () => act("retry", job.id), { symbol: "↻" }),
        );
    }

    async function showEnded(further) {
        try {
            const found = await endedInOrder("ended", { states: filter.value ? [filter.value] : null, beyond: further ? beyond : null });
            if (!found) {
                return;
            }
            const items = found.jobs.map(drawEnded);
            beyond = found.beyond;
            more.hidden = beyond === null;
            if (further) {
                ended.append(...items);
            } else {
                ended.replaceChildren(...items);
            }
            if (!ended.children.length) {
                ended.append(easelMake("li", { class: "comments" }, easelWords("Nothing yet.")));
            }
        } catch (error) {
            said.say(error.message, true);
        }
    }

    easelWhileShown(holder, round, () => (state.running.length ? 700 : 2000));
};
