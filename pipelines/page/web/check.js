// The check of a mark: its button lies in the Evidence pane, and what comes back is written on it.
document.addEventListener("click", (event) => {
  const button = event.target.closest?.("#evidence [data-check]");
  if (!button || button.disabled || !element.isConnected) return;
  button.disabled = true;
  button.dataset.waits = "";
  button.textContent = "checking …";
  trigger("select", { index: button.dataset.check, value: "" });
});
