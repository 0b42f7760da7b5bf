// Package httpapi serves the operations of handlers/api as REST: JSON over HTTP under /v1, described by OpenAPI 3.1 at
// /v1/openapi.json.
//
// # Design
//
// The routes are those of net/http, and what they do is one function for all: it makes one flat JSON object of path, query
// and body, and calls the operation. So REST accepts exactly what the WebSocket does, and there is one decoder to test.
// huma makes the schemas of the document from the same Go types that are decoded into; its own request binding is not
// used, because it would be a second set of rules.
//
// Every error is a problem document (RFC 9457), those of router and decoder too, with the code of the client protocol
// beside its status.
package httpapi
