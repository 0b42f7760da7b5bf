package gateway

import (
	"context"
	"encoding/json"
	"log/slog"

	"mpim/domain"
	"mpim/schema"
)

// listenStatus hears the changes of presence until the context ends. What is lost while it does not listen is not made
// good: presence is pushed at most once.
func (g *Gateway) listenStatus(ctx context.Context) error {
	channels := make([]string, g.config.Placement.Partitions)
	for p := range channels {
		channels[p] = schema.StatusChannel(p)
	}
	for pause := minPause; ctx.Err() == nil; pause = min(2*pause, maxPause) {
		err := g.config.Channels.Listen(ctx, channels, func() { pause = minPause }, func(_ string, message []byte) { g.hearStatus(message) })
		if err != nil {
			g.logger.Warn("subscription to presence broke", slog.Any("error", err))
		}
		wait(ctx, pause)
	}
	return nil
}

// pushedStatus is the params of a presence notification.
type pushedStatus struct {
	User     domain.UserID `json:"user"`
	Status   string        `json:"status"`
	Text     string        `json:"text,omitempty"`
	LastSeen *string       `json:"last_seen_at"`
}

func (g *Gateway) hearStatus(message []byte) {
	statuses, err := schema.DecodeStatuses(message)
	if err != nil {
		g.logger.Error("status message cannot be read", slog.Any("error", err))
		return
	}
	var watches []*watch
	for _, status := range statuses {
		watches = g.watchers.of(watches[:0], status.User)
		if len(watches) == 0 {
			continue
		}
		params := pushedStatus{User: status.User, Status: status.Status, Text: status.Text}
		if !status.LastSeenAt.IsZero() {
			at := status.LastSeenAt.UTC().Format(schema.TimeFormat)
			params.LastSeen = &at
		}
		text, err := json.Marshal(params)
		if err != nil {
			continue
		}
		frame := notification("presence", text)
		for _, w := range watches {
			w.hear(status.User, frame)
		}
	}
}
