package push

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"

	"mpim/domain"
	"mpim/schema"
)

// notice is the params of a notice's push.
type notice struct {
	Event    domain.EventID `json:"event"`
	Title    string         `json:"title"`
	Text     string         `json:"text"`
	At       string         `json:"at"`
	Priority string         `json:"priority"`
}

// notice pushes a notice of the system to those it is for. An error says that these cannot be read now.
func (p *partition) notice(ctx context.Context, out *outbox, r *schema.Record) error {
	if r.Type != domain.TypeNoticePublished {
		return nil
	}
	fact, err := r.Fact()
	published, ok := fact.(*domain.NoticePublished)
	var to domain.Recipients
	if err == nil && ok {
		err = errors.Join(json.Unmarshal(published.To, &to), to.Check())
	}
	if err != nil || !ok {
		// It is listed all the same.
		p.unreadable(r, err)
		return nil
	}
	text, err := json.Marshal(notice{r.ID, published.Title, published.Text, r.At.UTC().Format(schema.TimeFormat), published.Priority})
	if err != nil {
		panic(err) // strings always encode
	}
	frame := append(append([]byte(noticeOpen), text...), '}')
	if to.Everyone() && to.Gateway == "" && to.Client == "" {
		// Once for all gateways: each knows its own connections.
		out.everyone(schema.ClassNotice, frame)
		return nil
	}
	a, err := p.to(ctx, to)
	if err == nil && a.connections > 0 {
		out.put(schema.ClassNotice, frame, a)
	}
	return err
}

// unreadable notes an event whose push is left out.
func (p *partition) unreadable(r *schema.Record, err error) {
	p.owner.metrics.unreadable.Inc()
	p.logger.Error("event cannot be pushed", slog.String("event", string(r.ID)), slog.Any("error", err))
}
