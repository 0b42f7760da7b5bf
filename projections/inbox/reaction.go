package inbox

import (
	"encoding/base64"
	"strconv"
	"strings"

	"mpim/domain"
)

// reaction is one that came or went.
type reaction struct {
	user domain.UserID
	seq  domain.Seq
	fact *domain.MessageReacted
}

// args are those of TALLY. It counts for the newest message that has reactions, so those on the last message are always
// among them, and a send needs not look at any.
func (r reaction) args() []string {
	on := "1"
	if r.fact.Removed {
		on = "0"
	}
	return []string{
		tallyField, reactedField + string(r.user),
		strconv.FormatInt(int64(r.fact.Message), 10), strconv.FormatInt(int64(r.seq), 10), emojiWord(r.fact.Emoji), on,
	}
}

// Reaction is one emoji on a message.
type Reaction struct {
	Emoji string
	Count int
	Mine  bool
}

// emojiWord writes an emoji without spaces.
func emojiWord(emoji string) string { return base64.RawURLEncoding.EncodeToString([]byte(emoji)) }

// react puts on a message what was counted, if that was counted for it.
func (m *Message) react(tally, mine string) {
	words, own := strings.Fields(tally), strings.Fields(mine)
	if m.Gone() || len(words) < 4 || domain.Seq(numberAt(tally, 0)) != m.Seq {
		return
	}
	reacted := make(map[string]bool, len(own))
	if domain.Seq(numberAt(mine, 0)) == m.Seq {
		for _, word := range own[1:] {
			reacted[word] = true
		}
	}
	m.ChangedSeq = max(m.ChangedSeq, domain.Seq(numberAt(tally, 1)))
	for i := 2; i+1 < len(words); i += 2 {
		emoji, err := base64.RawURLEncoding.DecodeString(words[i])
		count, errCount := strconv.Atoi(words[i+1])
		if err == nil && errCount == nil {
			m.Reactions = append(m.Reactions, Reaction{Emoji: string(emoji), Count: count, Mine: reacted[words[i]]})
		}
	}
}
