package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"mpim/projections"
	"mpim/projections/builds"
	"mpim/projections/checkpoint"
	"mpim/projections/tables"
)

// families returns the projections with their builds, one for each version that this binary knows, in the order in which
// lists show them.
func (s *stores) families() []*builds.Family {
	heads := func(ctx context.Context) ([]int64, error) { return s.reader().Heads(ctx) }
	var all []*builds.Family
	for _, code := range s.inRedis() {
		registry := checkpoint.RedisBuilds{Client: s.redis, Partitions: s.identity.Partitions}
		all = append(all, &builds.Family{Code: code, Registry: registry, Heads: heads, AtOnce: true})
	}
	for _, d := range inSQL {
		all = append(all, &builds.Family{
			Code: tables.Code{DB: s.db, Definition: d}, Registry: agreedRegistry{builds.SQL{DB: s.db}, s}, Heads: heads,
		})
	}
	return all
}

// family returns the newest version of a projection. An error is one of usage.
func (s *stores) family(name string) (*builds.Family, error) {
	var newest *builds.Family
	for _, f := range s.families() {
		if f.Name() == name && (newest == nil || f.Version() > newest.Version()) {
			newest = f
		}
	}
	if newest != nil {
		return newest, nil
	}
	return nil, usagef("there is no projection %q: there are %s", name, strings.Join(s.projectionNames(), ", "))
}

// agreedRegistry looks into no database of another log.
type agreedRegistry struct {
	builds.Registry
	stores *stores
}

// Standing implements builds.Registry. Everything begins with it.
func (r agreedRegistry) Standing(ctx context.Context, name string) (builds.Standing, error) {
	if err := r.stores.agree(ctx); err != nil {
		return builds.Standing{}, err
	}
	return r.Registry.Standing(ctx, name)
}

// described is a build as lists show it.
type described struct {
	projections.Status
	paused bool
	// pending are the views that do not show the live build yet.
	pending []string
}

// statuses returns how far the live build of each projection has come, or all builds. What cannot be asked is left out,
// and the error says why.
func (s *stores) statuses(ctx context.Context, all bool) ([]described, error) {
	var found []described
	var failed error
	for _, name := range s.projectionNames() {
		if s.db == nil && keptInSQL(name) { // for doctor, which has said so
			continue
		}
		f, err := s.family(name)
		if err != nil {
			return found, err
		}
		some, err := s.statusesOf(ctx, f, all)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("projection %s: %w", name, err))
		}
		found = append(found, some...)
	}
	return found, failed
}

func (s *stores) statusesOf(ctx context.Context, f *builds.Family, all bool) ([]described, error) {
	standing, err := f.Standing(ctx)
	if err != nil {
		return nil, err
	}
	chosen := standing.Builds
	if !all {
		chosen = standing.Shown()
	}
	if len(chosen) == 0 {
		return []described{{Status: projections.Status{
			Name: f.Name(), Version: f.Version(), Store: f.Store(), State: projections.Absent,
		}}}, nil
	}
	found := make([]described, 0, len(chosen))
	for _, b := range chosen {
		status, err := f.Open(b).Status(ctx)
		if err != nil {
			return found, err
		}
		one := described{Status: status, paused: standing.Paused}
		if code, ok := f.Code.(tables.Code); ok && b.State == projections.Live && b.Version == f.Version() {
			if one.pending, err = code.Pending(ctx, b); err != nil {
				return found, err
			}
		}
		found = append(found, one)
	}
	return found, nil
}
