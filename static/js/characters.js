// Makes visible, in text that scripts put into a page, what the server marks in all it draws: characters
// that cannot be seen, and letters that pass for Latin ones.

const hidden = /(?![\t\n\r ])[\p{C}\p{Z}\p{DI}\u2800\u{1d159}]|\r(?!\n)/gu;
const ordinary = /^[\t\n -~]*$/;
const word = /[\p{L}\p{N}_]+/gu;
const latin = /[a-z]/i;
const alike =
  "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03b1" +
  "\u03b9\u03ba\u03bd\u03bf\u03c1\u03c5\u0405\u0406\u0408\u0410\u0412\u0415\u041a\u041c\u041d" +
  "\u041e\u0420\u0421\u0422\u0423\u0425\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0455\u0456" +
  "\u0458\u04bb\u0501\u051b\u051d\u0561\u0570\u0578\u057d\u0585";
const lookalike = new RegExp(`[${alike}]`, "g");

const code = (character) => `⟨U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`;
const named = (found) => found.replace(lookalike, (letter) => letter + code(letter));

export function plain(text) {
  if (ordinary.test(text)) return text;
  return text.replace(word, (found) => (latin.test(found) ? named(found) : found)).replace(hidden, code);
}
