package schema

// GatewayLoad is a gateway that takes connections, as it announces itself.
type GatewayLoad struct {
	// ID is that of this life of its process.
	ID string `json:"id"`
	// URL is where clients reach it.
	URL string `json:"url"`
	// Load is the share of the connections that it can hold, 0 to 1.
	Load float64 `json:"load"`
}
