// What the pages of the test have in common.

export const post = (name, body) => fetch(`posted/${name}`, { method: "POST", body });

/** Runs what a page is for, and says that it has ended, or why it has not. */
export async function posting(body) {
  try {
    await body();
    await post("done", "");
  } catch (error) {
    await post("failed", `${error.stack ?? error}\n${document.getElementById("log")?.textContent ?? ""}`);
  }
}

/** The files of a served folder, as a file input gives them where a folder is chosen. */
export async function chosenFolder(folder) {
  const paths = await (await fetch(`${folder}.json`)).json();
  return Promise.all(
    paths.map(async (path) => {
      const file = new File([await (await fetch(`${folder}/${path}`)).blob()], path.split("/").at(-1));
      return Object.defineProperty(file, "webkitRelativePath", { value: `${folder}/${path}` });
    }),
  );
}
