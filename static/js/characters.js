// Makes visible, in text that scripts put into a page, what the server marks in all it draws: characters
// that cannot be seen, and letters that pass for Latin ones, by the rules of projects/lookalikes.py.

const hidden = /(?![\t\n\r ])[\p{C}\p{Z}\p{DI}\u2800\u{1d159}]|\r(?!\n)/gu;
const ordinary = /^[\t\n -~]*$/;

const cyrillic =
  "\u0405\u0406\u0408\u0410\u0412\u0415\u041a\u041c-\u041e\u0420-\u0423\u0425\u0430\u0435\u043a" +
  "\u043e\u0440\u0441\u0443\u0445\u0455\u0456\u0458\u0461\u0474\u0475\u04ae\u04af\u04bb\u04bd\u04c0" +
  "\u04cf\u0501\u050c\u051b-\u051d\ua647";
const armenian = "\u054d\u054f\u0555\u0561\u0563\u0566\u0570\u0578\u057c\u057d\u0581\u0584\u0585";
const greek =
  "\u037f\u0391\u0392\u0395-\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03b1" +
  "\u03b9\u03ba\u03bd\u03bf\u03c1\u03c5\u03d2\u03dc\u03f1-\u03f3\u03f9\u03fa\u1d26\u1fbe";
const rare =
  "\u0b20\u0d20\u101d\u10e7\u10ff\u1200\u12d0\u13a0-\u167f\u16a0-\u16ff\u2c80-\u2cff\u2d30-\u2d7f" +
  "\ua4d0-\ua4ff\ua6a0-\ua6ff\uab70-\uabbf\u{10280}-\u{1057f}\u{118a0}-\u{118ff}\u{16e40}-\u{16e9f}" +
  "\u{16f00}-\u{16f9f}";
const foreign = "\u0400-\u0481\u048a-\u052f\u0531-\u0587\u10a0-\u10ff\u1c80-\u1cbf\ua640-\ua66d\ua680-\ua69d";
const inside = "\u03b2\u03b3\u03b5\u03b7\u03c3\u03c4\u03c7\u03c9";
const latin =
  "\u0131\u0138\u0184\u0196\u01a6\u01bd\u01c0\u0251\u0261\u0262\u0269\u026a\u0274\u0280\u028b\u028f" +
  "\u0299\u029c\u029f\u1d00\u1d04\u1d05\u1d07\u1d0a-\u1d0d\u1d0f\u1d11\u1d18\u1d1b\u1d1c\u1d20-" +
  "\u1d22\u1d83\u1d8c\u1e9d\ua730\ua731\ua798\ua799\ua79f\ua7b2-\ua7b4\uab32\uab35\uab3d\uab47" +
  "\uab48\uab4e\uab52\uab5a";
const raised =
  "\u00aa\u00b2\u00b3\u00b9\u00ba\u02b0-\u02b8\u02e1-\u02e3\u1d2c-\u1d6a\u1d9c-\u1dbf\u2070-\u209c" +
  "\u2c7c\u2c7d\ua7f2-\ua7f4";
const numerals = "\u2160-\u217f";
const others =
  "\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\u{1d400}-\u{1d7ff}\u0132\u0133\u013f\u0140\u0149\u017f" +
  "\u01c4-\u01cc\u01f1-\u01f3\u1e9a\u2100-\u214f\u249c-\u24e9\ufb00-\ufb06\u{1f110}-\u{1f149}";

const set = (letters) => `[${letters}]`;
const forms = raised + numerals + others;
const exact = cyrillic + armenian + rare;
const suspect = new RegExp(set(exact + greek + foreign + inside + latin + forms), "u");
const word = /[\p{L}\p{N}_\u249c-\u24e9\u{1f110}-\u{1f149}]+/gu;
const part = /[\p{L}\p{N}]+/gu;
const ascii = /[A-Za-z]/;
const onlyAscii = /^[\x00-\x7f]*$/;
const alike = new RegExp(set(exact + greek), "gu");
const mixed = new RegExp(`${set(foreign)}|(?<=[A-Za-z])${set(inside)}(?=[A-Za-z])`, "gu");
const readAsAscii = new RegExp(set(latin), "gu");
const form = new RegExp(set(forms), "gu");
const shape = /[\uff10-\uff19\u{1d6a8}-\u{1d7ff}]/u;
const sign = new RegExp(`^(?:[0-9]+|[\\p{L}\\p{Nl}\\p{No}]{1,2})${set(raised)}+$`, "u");
const onlyNumerals = new RegExp(`^[${numerals}0-9]+$`, "u");
const ideographs = /[\u3005-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\u{20000}-\u{3ffff}]/u;
const whole = new RegExp(`^(?:${set(exact)}[${exact}0-9_]*|${set(greek)}[${greek}0-9_]+)$`, "u");
const namedAfter = /^ ?(?:=|[-+*/|&^%:!<>]=)|^[([]|^\.[A-Za-z_]/;
const namedBefore =
  /(?:[A-Za-z0-9_)\]]\.|[A-Za-z0-9_]\((?:[A-Za-z_][\p{L}\p{N}_]*, ?)*|(?<![\p{L}\p{N}_])(?:def|class|function|fn|func|import|from|let|const|var|return|if|not|struct|enum|type) )$/u;

const places = (pattern, text) => [...text.matchAll(pattern)].map((each) => each.index);
const code = (character) => `⟨U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`;

function isNamed(text, start, end) {
  return namedAfter.test(text.slice(end, end + 3)) || namedBefore.test(text.slice(Math.max(0, start - 60), start));
}

function formsIn(said) {
  const latinToo = ascii.test(said);
  if ([...said.replace(/^_+|_+$/g, "")].length < 2 || onlyNumerals.test(said) || sign.test(said)) return [];
  if (!latinToo && ideographs.test(said)) return [];
  const passes = (each) => ascii.test(each.normalize("NFKC")) || (latinToo && shape.test(each));
  return [...said.matchAll(form)].filter((each) => passes(each[0])).map((each) => each.index);
}

function mixedIn(said) {
  const parts = [...said.matchAll(part)].filter((each) => ascii.test(each[0]));
  return parts.flatMap((each) => places(mixed, each[0]).map((at) => each.index + at));
}

function latinIn(said, found, named) {
  const at = places(readAsAscii, said);
  const letters = [];
  for (let next = 0; next < said.length; next += letters.at(-1)[1].length)
    letters.push([next, String.fromCodePoint(said.codePointAt(next))]);
  const rest = letters.filter(([place]) => !at.includes(place) && !found.has(place));
  if (!at.length || letters.length < 2 || !onlyAscii.test(rest.map((each) => each[1]).join(""))) return [];
  if (found.size || at.some((place) => said[place] !== "\u0131")) return at;
  const inner = /\p{Lu}/u.test(said.slice(1)) && said !== said.toUpperCase();
  return said.includes("_") || inner || named() ? at : [];
}

function oddIn(said, named) {
  let found = new Set(formsIn(said));
  if (ascii.test(said)) [...places(alike, said), ...mixedIn(said)].forEach((at) => found.add(at));
  else if (!found.size && whole.test(said) && named()) found = new Set(places(/\p{L}/gu, said));
  latinIn(said, found, named).forEach((at) => found.add(at));
  return found;
}

function named(said, start, text) {
  if (onlyAscii.test(said) || !suspect.test(said)) return said;
  const odd = oddIn(said, () => isNamed(text, start, start + said.length));
  const shown = (letter, at) => (odd.has(at) ? letter + code(letter) : letter);
  return odd.size ? said.replace(/./gsu, shown) : said;
}

export function plain(text) {
  if (ordinary.test(text)) return text;
  return text.replace(word, named).replace(hidden, code);
}
