package gateway

import (
	"context"
	"log/slog"
	"time"

	"mpim/schema"
)

// Directory is where clients find gateways.
type Directory interface {
	// Announce says where a gateway is. It is believed for some intervals.
	Announce(ctx context.Context, g schema.GatewayLoad) error
	// Retire takes one off.
	Retire(ctx context.Context, gateway string) error
}

// retireTimeout bounds the last word to the directory.
const retireTimeout = 2 * time.Second

// Announce tells the directory where clients reach this gateway, and how loaded it is, every interval until it drains or
// the context ends; then it takes itself off.
func (g *Gateway) Announce(ctx context.Context, directory Directory, url string, interval time.Duration) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		switch {
		case g.draining.Load():
			return g.retire(ctx, directory)
		case g.Ready():
			load := float64(g.Connections()) / float64(g.config.Connections)
			if err := directory.Announce(ctx, schema.GatewayLoad{ID: g.config.ID, URL: url, Load: min(load, 1)}); err != nil && ctx.Err() == nil {
				g.logger.Warn("gateway not announced", slog.Any("error", err))
			}
		}
		select {
		case <-ctx.Done():
			return g.retire(ctx, directory)
		case <-ticker.C:
		}
	}
}

func (g *Gateway) retire(ctx context.Context, directory Directory) error {
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), retireTimeout)
	defer cancel()
	if err := directory.Retire(limit, g.config.ID); err != nil {
		g.logger.Warn("gateway not taken off the directory: it ends by itself", slog.Any("error", err))
	}
	<-ctx.Done()
	return nil
}
