package history

import "mpim/projections/database"

func (r *conversationRow) write(v *database.Values) {
	v.String(r.Conversation)
	v.String(r.Kind)
	v.Bytes(r.Title)
	v.Bytes(r.AvatarURL)
	v.Bytes(r.Announcement)
	v.String(r.JoinRule)
	v.String(r.HistoryRule)
	v.Flag(r.Muted)
	v.String(r.CreatedBy)
	v.Time(r.CreatedAt)
	v.Time(r.UpdatedAt)
	v.Time(r.DissolvedAt)
}

func (r *memberRow) write(v *database.Values) {
	v.String(r.Conversation)
	v.String(r.User)
	v.Int(r.FromSeq)
	v.Time(r.FromAt)
	v.String(r.Began)
	v.String(r.Role)
	v.Time(r.MutedUntil)
	v.IntOrNull(r.ToSeq)
	v.Time(r.ToAt)
	v.String(r.Ended)
}

func (r *messageRow) write(v *database.Values) {
	v.String(r.Conversation)
	v.Int(r.Seq)
	v.Int(r.Ordinal)
	v.String(r.Event)
	v.String(r.Sender)
	v.Time(r.At)
	v.String(r.Kind)
	v.Bytes(r.ClientID)
	v.IntOrNull(r.ReplyTo)
	v.Bytes(r.Mentions)
	v.Time(r.ExpiresAt)
	v.Bytes(r.Body)
	v.IntOrNull(r.EditedSeq)
	v.Time(r.EditedAt)
	v.String(r.RecalledBy)
	v.Time(r.RecalledAt)
	v.Time(r.ExpiredAt)
}

func (r *revisionRow) write(v *database.Values) {
	v.String(r.Conversation)
	v.Int(r.Message)
	v.Int(r.Seq)
	v.String(r.Event)
	v.Time(r.At)
	v.Bytes(r.Body)
}

func (r *reactionRow) write(v *database.Values) {
	v.String(r.Conversation)
	v.Int(r.Message)
	v.String(r.User)
	v.Bytes(r.Emoji)
	v.Int(r.FromSeq)
	v.Time(r.FromAt)
	v.IntOrNull(r.ToSeq)
	v.Time(r.ToAt)
}
