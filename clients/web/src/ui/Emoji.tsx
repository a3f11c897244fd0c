const emoji = (
  '😀 😄 😁 😂 🤣 😊 😇 🙂 😉 😍 🥰 😘 😋 😜 🤔 🤗 🤭 😏 😴 😷 🤒 🥳 😎 🤓 😕 😟 😮 😳 🥺 😢 😭 😱 😡 🤯 😅 🙄 ' +
  '👍 👎 👏 🙌 🙏 🤝 💪 👌 ✌️ 🤞 👋 ✋ 👀 🧠 ❤️ 🧡 💛 💚 💙 💜 🖤 💔 💯 ✨ ⭐ 🔥 🎉 🎂 🎁 🏆 ☕ 🍺 🍎 🍜 🍚 🥟 ' +
  '🐦 🕊️ 🐶 🐱 🐼 🐟 🌸 🌹 🌳 🌞 🌙 🌧️ ❄️ 🌈 🏠 🚗 🚲 ✈️ ⚽ 🏓 🎵 🎮 📷 💻 📱 ⏰ 📌 📎 ✅ ❌ ❓ ❗'
).split(' ');

export function EmojiGrid({ onPick }: { onPick: (emoji: string) => void }) {
  return (
    <div class="emoji-grid">
      {emoji.map((e) => <button type="button" key={e} aria-label={e} onClick={() => onPick(e)}>{e}</button>)}
    </div>
  );
}
