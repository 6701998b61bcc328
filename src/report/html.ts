/** HTML as a value of its own: text becomes part of it only escaped. */

export interface Html {
  readonly html: string;
}

type Part = Html | string | number | readonly Html[];

/** Template tag: strings and numbers are escaped, Html is taken as it is. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return { html: strings.map((s, i) => s + (i < parts.length ? textOf(parts[i]!) : '')).join('') };
}

export const nothing: Html = { html: '' };

/** Trusted text, such as the style sheet. */
export function trusted(text: string): Html {
  return { html: text };
}

function textOf(part: Part): string {
  if (typeof part === 'string' || typeof part === 'number') return escape(String(part));
  return 'html' in part ? part.html : part.map((each) => each.html).join('');
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character]!);
}
