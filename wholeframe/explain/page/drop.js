"use strict";
// A file that is dropped or chosen goes to the server, which answers with the address of its page or with a sentence.

const [drop, file, save, said, page] = ["drop", "file", "save", "said", "page"].map((id) => document.getElementById(id));
const largest = Number(document.body.dataset.largest);

function say(sentence, wrong) {
  said.textContent = sentence;
  said.classList.toggle("wrong", wrong);
}

function show(address, name) {
  page.src = address;
  page.hidden = save.hidden = false;
  save.href = address;
  save.download = `${name}.html`;
}

async function open(chosen) {
  if (!chosen) return;
  if (chosen.size > largest) {
    say(`${chosen.name} has ${Math.ceil(chosen.size / 2 ** 20)} MiB, and at most ${largest / 2 ** 20} MiB are read.`, true);
    return;
  }
  say(`${chosen.name} is read ...`, false);
  try {
    const address = `open?name=${encodeURIComponent(chosen.name)}`;
    const answer = await (await fetch(address, { method: "POST", body: chosen })).json();
    if (answer.wrong) say(answer.wrong, true);
    else {
      say(chosen.name, false);
      show(answer.page, chosen.name);
    }
  } catch {
    say("The server does not answer: it has ended, or the file has changed while it was read.", true);
  }
  file.value = "";
}

file.addEventListener("change", () => open(file.files[0]));
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop") open(event.dataTransfer.files[0]);
  });
}
if (document.body.dataset.first) show(document.body.dataset.first, "page");
