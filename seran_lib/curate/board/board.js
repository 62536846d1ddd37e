// The front end of seran_lib/curate/board.py: shows `state`, sends what is asked for, decides nothing itself.
// Ids, labels and reasons are data: they reach the page as text only, never as HTML.

const BADGES = { keep: "kept", drop: "dropped", crop: "cropped" };

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const press = (text, key, onclick, className = "") =>
  make("button", { type: "button", className, onclick }, text, ...(key ? [make("kbd", {}, key)] : []));

// A picture with a box over it; the box is in per cent, so that it fits at any scale.
function makePicture() {
  const image = make("img", { alt: "", draggable: false, hidden: true, onload: () => URL.revokeObjectURL(image.src) });
  const box = make("div", { className: "box", hidden: true });
  return { area: make("div", { className: "area" }, image, box), box, image, size: null };
}

function fillPicture(picture, jpeg, size) {
  picture.size = size;
  picture.area.style.setProperty("--ratio", size[0] / size[1]);
  picture.image.src = URL.createObjectURL(new Blob([jpeg], { type: "image/jpeg" }));
  picture.image.hidden = false;
}

function placeBox(picture, box) {
  picture.box.hidden = !(box && picture.size);
  if (picture.box.hidden) return;
  const [[x0, y0, x1, y1], [width, height]] = [box, picture.size];
  const edges = { left: x0 / width, top: y0 / height, width: (x1 - x0) / width, height: (y1 - y0) / height };
  for (const [edge, share] of Object.entries(edges)) picture.box.style[edge] = `${100 * share}%`;
}

const numbers = (text) => (text ? text.split(" ").map(Number) : null);

function render({ model, el }) {
  let tiles = []; // what is on the page
  let selected = 0;
  const current = () => tiles[selected];
  const ask = (what, given = {}) => model.send({ do: what, with: given });
  const turn = (by) => ask("page", { page: model.get("state").page + by });

  // The next picture is selected at once, so that quick fingers never judge one twice; the frame waits for Python.
  function decide(image_id, decision, value = "") {
    ask("decide", { image_id, decision, value });
    if (current()?.id === image_id) select(selected + 1);
  }

  function accept({ id, card }) {
    if (!card.accept) count.textContent = "Nothing is proposed here that could be accepted.";
    else if (card.accept[1].includes("|")) openLabel(current()); // several labels: which one?
    else decide(id, ...card.accept);
  }

  const onPicture = (action) => () => current() && action(current());
  const actions = {
    k: ["Keep", onPicture(({ id }) => decide(id, "keep"))],
    d: ["Drop", onPicture(({ id }) => decide(id, "drop"))],
    l: ["Wrong label", onPicture(openLabel)],
    c: ["Crop", onPicture(openCrop)],
    a: ["Accept proposal", onPicture(accept)],
    u: ["Undo", () => ask("undo")],
    p: ["Previous page", () => turn(-1)],
    n: ["Next page", () => turn(1)],
  };
  function button(key) {
    const [text, action] = actions[key];
    return press(text, key, () => { focusTile(); action(); }, `act-${key}`);
  }

  const count = make("span", { className: "count", role: "status", "aria-live": "polite" });
  const bar = make("progress", { "aria-label": "pictures judged" });
  const filter = make("select", { "aria-label": "which pictures" });
  filter.onchange = () => ask("filter", { choice: filter.value });
  const where = make("span");
  const [previous, next] = [button("p"), button("n")];
  const trouble = make("span", { role: "alert" });
  const troubleBar = make("div", { className: "trouble" }, trouble, press("Reload decisions", "", () => ask("reload")));
  const grid = make("div", { className: "grid", role: "listbox", "aria-label": "pictures" });

  // ---- wrong label ----
  const known = make("datalist", { id: `labels-${Math.random().toString(36).slice(2)}` });
  const input = make("input", { type: "text", "aria-label": "the right label", placeholder: "the right label" });
  input.setAttribute("list", known.id);
  const labelForm = make("form", { className: "relabel", hidden: true }, known, input,
    make("button", { type: "submit" }, "Set label", make("kbd", {}, "Enter")), press("Leave", "Esc", closeLabel));
  function openLabel({ id, card }) {
    known.replaceChildren(...model.get("labels").map((value) => make("option", { value })));
    input.value = card.accept?.[0] === "label" && !card.accept[1].includes("|") ? card.accept[1] : "";
    labelForm.hidden = false;
    labelForm.onsubmit = (event) => {
      event.preventDefault();
      if (input.value.trim()) {
        closeLabel();
        decide(id, "label", input.value.trim());
      }
    };
    input.focus();
  }
  function closeLabel() {
    labelForm.hidden = true;
    focusTile();
  }

  // ---- crop ----
  const enlarged = makePicture();
  const hint = make("span", { role: "status", "aria-live": "polite" });
  const cropper = make("dialog", { className: "seran-crop", "aria-label": "crop", tabIndex: -1 }, enlarged.area,
    make("div", { className: "tools" }, hint, press("Crop to the box", "Enter", acceptCrop, "act-k"),
      press("Leave", "Esc", () => cropper.close())));
  let cropping = ""; // the picture's id
  let box = null; // in pixels of the upright original
  let start = null; // where the drag began
  function openCrop({ id, card }) {
    cropping = id;
    box = numbers(card.decision === "crop" ? card.value : card.crop);
    enlarged.size = start = null;
    enlarged.image.hidden = enlarged.box.hidden = true;
    hint.textContent = "The picture is on its way.";
    cropper.showModal();
    cropper.focus();
    ask("show", { image_id: id, large: true });
  }
  function showBox() {
    placeBox(enlarged, box);
    hint.textContent = "Drag a box around the insect.";
    if (box) hint.textContent = `${box[2] - box[0]} x ${box[3] - box[1]} of ${enlarged.size.join(" x ")} pixels`;
  }
  function acceptCrop() {
    if (!box || !enlarged.size) return;
    cropper.close();
    decide(cropping, "crop", box.join(" "));
  }
  function pixel(event) {
    const area = enlarged.area.getBoundingClientRect();
    const place = [(event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height];
    return place.map((share, axis) => Math.round(Math.min(Math.max(share, 0), 1) * enlarged.size[axis]));
  }
  enlarged.area.onpointerdown = (event) => {
    if (!enlarged.size) return;
    start = pixel(event);
    enlarged.area.setPointerCapture(event.pointerId);
  };
  enlarged.area.onpointermove = (event) => {
    if (!start) return;
    const [[x0, x1], [y0, y1]] = pixel(event).map((end, axis) => [start[axis], end].sort((a, b) => a - b));
    if (x0 < x1 && y0 < y1) box = [x0, y0, x1, y1];
    showBox();
  };
  enlarged.area.onpointerup = () => { start = null; };
  cropper.onclose = focusTile;

  // ---- the page of thumbnails ----
  function makeTile({ id }) {
    const tile = { id, picture: makePicture() };
    for (const part of ["why", "badge", "label", "note"]) tile[part] = make("div", { className: part });
    const frame = make("div", { className: "frame" }, tile.picture.area, tile.why, tile.badge);
    tile.root = make("div", { className: "tile", role: "option" }, frame, tile.label, tile.note);
    tile.root.onclick = () => select(tiles.indexOf(tile));
    tile.root.ondblclick = () => openCrop(tile);
    return tile;
  }
  function fillTile(tile, card) {
    tile.card = card;
    tile.root.dataset.decision = card.decision || "none";
    tile.badge.textContent = card.decision === "label" ? `→ ${card.value}` : BADGES[card.decision] ?? "";
    tile.label.textContent = card.label;
    tile.note.textContent = card.proposals.join("; ");
    tile.root.title = `${card.id}\n${tile.note.textContent}`;
    const spoken = [card.id, card.label, tile.badge.textContent || "undecided", ...card.proposals];
    tile.root.setAttribute("aria-label", spoken.join(", "));
    placeBox(tile.picture, numbers(card.decision === "crop" ? card.value : card.decision ? "" : card.crop));
  }
  function select(index, focus = true) {
    selected = Math.max(0, Math.min(index, tiles.length - 1));
    tiles.forEach((tile, place) => {
      tile.root.tabIndex = place === selected ? 0 : -1;
      tile.root.setAttribute("aria-selected", place === selected);
    });
    if (focus) focusTile();
  }
  function focusTile() {
    current()?.root.focus();
  }

  // ---- what comes from Python ----
  function update() {
    const state = model.get("state");
    const busy = cropper.open || !labelForm.hidden || document.activeElement === filter;
    const focus = !busy && root.contains(document.activeElement);
    if (state.cards.map((card) => card.id).join("\n") !== tiles.map((tile) => tile.id).join("\n")) {
      tiles = state.cards.map(makeTile);
      grid.replaceChildren(...tiles.map((tile) => tile.root));
      if (!tiles.length) grid.append("No picture is left here: choose others above.");
      for (const { id } of tiles) ask("show", { image_id: id, large: false });
      selected = 0;
    }
    state.cards.forEach((card, place) => fillTile(tiles[place], card));
    const goal = tiles.findIndex((tile) => tile.id === state.focus);
    select(goal >= 0 ? goal : selected, focus);
    count.textContent = `${state.judged} of ${state.total} judged`;
    Object.assign(bar, { max: state.total, value: state.judged });
    where.textContent = `page ${state.page + 1} of ${state.pages}, ${state.chosen} pictures`;
    filter.replaceChildren(...state.filters.map((value) => make("option", { value, selected: value === state.filter }, value)));
    [previous.disabled, next.disabled] = [state.page === 0, state.page >= state.pages - 1];
    troubleBar.hidden = !state.error;
    trouble.textContent = state.error;
  }
  function receive(message, buffers) {
    const tile = tiles.find((one) => one.id === message.image_id);
    if (!tile || (message.large && !(cropper.open && cropping === tile.id))) return; // nobody waits for it any more
    if (message.error) (message.large ? hint : tile.why).textContent = message.error;
    else fillPicture(message.large ? enlarged : tile.picture, buffers[0], message.size);
    if (message.large && !message.error) showBox();
    else fillTile(tile, tile.card);
  }

  const root = make("div", { className: "seran-board", "data-lm-suppress-shortcuts": "true" }, // keys are not JupyterLab's
    make("div", { className: "head" }, count, bar, filter, previous, where, next),
    make("div", { className: "tools" }, ...[..."kdlcau"].map(button)), troubleBar, labelForm, grid, cropper);
  root.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    event.stopPropagation();
    const columns = tiles.filter((tile) => tile.root.offsetTop === tiles[0].root.offsetTop).length;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    if (event.target === input) {
      if (event.key === "Escape") closeLabel();
    } else if (cropper.open) {
      if (event.key === "Enter" && event.target === cropper) acceptCrop();
    } else if (event.target !== filter && (step || event.key in actions)) {
      event.preventDefault();
      if (!step) actions[event.key][1]();
      else if (selected + step in tiles) select(selected + step);
    }
  };

  el.append(root);
  model.on("change:state", update);
  model.on("msg:custom", receive);
  update();
}

export default { render };
