/** Which uploads are unfinished, by file: a reload or another day goes on where it stopped. */

/** What a file is known by; its content would take too long to hash. */
export interface FileMark {
  readonly project: string;
  readonly name: string;
  readonly size: number;
  readonly modified: number;
}

/** An unfinished upload. */
export interface Unfinished extends FileMark {
  readonly url: string;
}

const PREFIX = "cisterna.upload ";

// one key each: two tabs then never overwrite each other's
const keyOf = ({ project, name, size, modified }: FileMark) =>
  PREFIX + JSON.stringify([project, name, size, modified]);

/** The mark of a file that was chosen for a project. */
export function markOf(project: string, file: File): FileMark {
  return { project, name: file.name, size: file.size, modified: file.lastModified };
}

/** Remember where a file goes. */
export function remember(mark: FileMark, url: string): void {
  try {
    localStorage.setItem(keyOf(mark), url);
  } catch {
    // private windows may refuse: a reload then begins anew
  }
}

/** Where a file was going, if it is unfinished. */
export function recall(mark: FileMark): string | null {
  return localStorage.getItem(keyOf(mark));
}

/** Forget a file that arrived or was given up. */
export function forget(mark: FileMark): void {
  localStorage.removeItem(keyOf(mark));
}

/** All unfinished uploads of a project. */
export function unfinished(project: string): Unfinished[] {
  return Object.keys(localStorage)
    .filter((key) => key.startsWith(PREFIX))
    .map((key) => {
      const [of, name, size, modified] = JSON.parse(key.slice(PREFIX.length)) as [string, string, number, number];
      return { project: of, name, size, modified, url: localStorage.getItem(key) as string };
    })
    .filter((upload) => upload.project === project)
    .sort((a, b) => a.name.localeCompare(b.name));
}
