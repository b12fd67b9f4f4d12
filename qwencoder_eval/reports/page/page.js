// What happens when the page is there.

startTheme();
startTable();
startViewer();
requestAnimationFrame(() => setTimeout(startCharts)); // the table is painted first

// A mean has no problems of its own: its score leads to its figures.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.('a[href^="#sheet-"]');
  const section = link && document.getElementById(link.hash.slice(1));
  if (section) section.querySelector("details").open = true;
});
