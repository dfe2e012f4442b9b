// The pencil beside a question. Gradio's own editor fails on a message that holds a file, so the question goes back
// into the composer, where its files can be changed too.
document.addEventListener("click", (event) => {
  const button = event.target.closest?.("#chat .user-row .message-buttons-right button");
  if (!button?.querySelector(".feather-edit-2")) return;
  const rows = [...document.querySelectorAll("#chat .user-row")];
  event.preventDefault();
  event.stopPropagation();
  trigger("select", { index: rows.indexOf(button.closest(".user-row")), value: "" });
}, true);
