// The index is all that is unpacked at first.
json("index").then(async (data) => {
  await startBrowser(data);
  startCurves(data);
  document.documentElement.dataset.ready = Math.round(performance.now());
}).catch(tellTrouble);
