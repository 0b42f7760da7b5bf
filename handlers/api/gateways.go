package api

import (
	"cmp"
	"context"
	"slices"

	"mpim/schema"
)

type (
	gatewayListInput struct {
		ReadAfter
	}
	gatewayListResult struct {
		Gateways []gatewayObject `json:"gateways" nullable:"false"`
	}
	gatewayObject struct {
		URL  string  `json:"url"`
		Load float64 `json:"load" doc:"The share of the connections that it can hold, 0 to 1."`
	}
)

// gatewayList returns where clients can connect, the least loaded first. Gateways that are draining are left out.
func (o *Operations) gatewayList(ctx context.Context, _ Caller, in gatewayListInput) (gatewayListResult, error) {
	// No change that has a position moves a gateway, so there is nothing to wait for.
	if err := o.await(ctx, in.ReadAfter); err != nil {
		return gatewayListResult{}, err
	}
	found, err := o.Gateways.Gateways(ctx)
	if err != nil {
		return gatewayListResult{}, err
	}
	slices.SortFunc(found, func(a, b schema.GatewayLoad) int {
		return cmp.Or(cmp.Compare(a.Load, b.Load), cmp.Compare(a.URL, b.URL))
	})
	result := gatewayListResult{Gateways: make([]gatewayObject, len(found))}
	for i, g := range found {
		result.Gateways[i] = gatewayObject{URL: g.URL, Load: g.Load}
	}
	return result, nil
}
