package server

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/bonafide-dev/bonafide/evidence"
)

// The protocol of Gatekeeper's external data
// (https://open-policy-agent.github.io/gatekeeper/website/docs/externaldata).
// Its two versions differ in name only.
const (
	providerV1beta1      = "externaldata.gatekeeper.sh/v1beta1"
	providerV1alpha1     = "externaldata.gatekeeper.sh/v1alpha1"
	providerRequestKind  = "ProviderRequest"
	providerResponseKind = "ProviderResponse"
)

// maxKeys bounds a batch. Gatekeeper asks about one object at a time, and no Pod
// that anybody runs has a thousand containers.
const maxKeys = 1024

type providerRequest struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Request    *struct {
		Keys []string `json:"keys"`
	} `json:"request"`
}

type providerResponse struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Response   response `json:"response"`
}

// response is what a request is answered with: items, or a system error.
type response struct {
	Idempotent  bool           `json:"idempotent"`
	Items       []providerItem `json:"items,omitempty"`
	SystemError string         `json:"systemError,omitempty"`
}

// providerItem answers one key, by a value or by an error.
type providerItem struct {
	Key   string `json:"key"`
	Value any    `json:"value,omitempty"`
	Error string `json:"error,omitempty"`
}

// parseProviderRequest reads a request. The error says in words for the caller
// what is wrong with it.
func parseProviderRequest(body []byte) (*providerRequest, error) {
	var r providerRequest
	if err := evidence.DecodeJSON(body, &r); err != nil {
		return nil, fmt.Errorf("expected a %s in JSON: %w", providerRequestKind, err)
	}
	switch {
	case r.APIVersion != providerV1beta1 && r.APIVersion != providerV1alpha1, r.Kind != providerRequestKind:
		return nil, fmt.Errorf("expected a %s of %s, got kind %.100q of apiVersion %.100q", providerRequestKind, providerV1beta1, r.Kind, r.APIVersion)
	case r.Request == nil || len(r.Request.Keys) == 0: // an empty set is not "all verified" (TRUST R48)
		return nil, errors.New("expected keys to decide on, got none")
	case len(r.Request.Keys) > maxKeys:
		return nil, fmt.Errorf("expected at most %d keys, got %d", maxKeys, len(r.Request.Keys))
	}
	return &r, nil
}

// encodeResponse writes an answer in the version of the request.
func encodeResponse(apiVersion string, r response) ([]byte, error) {
	if apiVersion == "" {
		apiVersion = providerV1beta1
	}
	body, err := json.Marshal(providerResponse{APIVersion: apiVersion, Kind: providerResponseKind, Response: r})
	if err != nil {
		return nil, fmt.Errorf("server: write a %s: %w", providerResponseKind, err)
	}
	return body, nil
}

// traceID is the trace of a W3C Trace Context header
// (https://www.w3.org/TR/trace-context/#traceparent-header), or a new one.
// Templates build their message with it: one that is missing would leave the
// message, and with it the violation, undefined (TRUST R45).
func traceID(traceparent string) string {
	parts := strings.Split(traceparent, "-")
	if len(parts) >= 4 && len(parts[0]) == 2 && isTrace(parts[1]) {
		return parts[1]
	}
	var id [16]byte
	rand.Read(id[:]) // ends the program rather than fail
	return hex.EncodeToString(id[:])
}

// isTrace reports 32 lower-case hexadecimal digits that are not all zero.
func isTrace(s string) bool {
	const hexDigits = "0123456789abcdef"
	return len(s) == 32 && strings.Trim(s, hexDigits) == "" && strings.Trim(s, "0") != ""
}
