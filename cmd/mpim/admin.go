package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// check is one thing that has to be well for a process to be ready.
type check struct {
	name string
	run  func(context.Context) error
}

// health answers on the admin address.
type health struct {
	checks   []check
	draining atomic.Bool
}

// handler serves /healthz, /readyz and /metrics.
func (h *health) handler(registry *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", h.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry}))
	return mux
}

// stage serves the admin address. It comes up first and goes last, so that a process that drains can be watched.
func (h *health) stage(listener net.Listener, registry *prometheus.Registry, settings *live) stage {
	return stage{
		name: "admin", stopWithin: 6 * time.Second,
		parts: []func(context.Context) error{serve(listener, h.handler(registry), nil), settings.Run},
	}
}

// readyTime bounds all checks together.
const readyTime = 3 * time.Second

// readyz runs all checks at once and names each that fails.
func (h *health) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTime)
	defer cancel()
	results := make(map[string]string, len(h.checks)+1)
	var mu sync.Mutex
	var wait sync.WaitGroup
	status := http.StatusOK
	record := func(name string, err error) {
		mu.Lock()
		defer mu.Unlock()
		results[name] = "ok"
		if err != nil {
			results[name] = err.Error()
			status = http.StatusServiceUnavailable
		}
	}
	for _, c := range h.checks {
		wait.Go(func() { record(c.name, c.run(ctx)) })
	}
	wait.Wait()
	if h.draining.Load() {
		record("process", errDraining)
	}
	writeJSON(w, status, results)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may be gone
}

// serve serves until the context ends, then lets requests finish.
func serve(listener net.Listener, handler http.Handler, tls *tlsFiles) func(context.Context) error {
	return func(ctx context.Context) error {
		server := &http.Server{
			Handler:           handler,
			ReadHeaderTimeout: 10 * time.Second,
			IdleTimeout:       2 * time.Minute,
			MaxHeaderBytes:    32 << 10,
			BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		}
		done := make(chan error, 1)
		go func() {
			if tls != nil {
				done <- server.ServeTLS(listener, tls.cert, tls.key)
				return
			}
			done <- server.Serve(listener)
		}()
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
		}
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := server.Shutdown(limit); err != nil {
			return server.Close()
		}
		return nil
	}
}

// tlsFiles are a certificate and its key.
type tlsFiles struct{ cert, key string }
