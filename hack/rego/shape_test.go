package rego_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/open-policy-agent/frameworks/constraint/pkg/externaldata"
	"github.com/ratify-project/ratify/pkg/verifier"
)

// TestReportsHaveRatifysFields reads the answers with Ratify's own type.
func TestReportsHaveRatifysFields(t *testing.T) {
	w := newWorld(t)
	d := open(t, w.engine)
	client, err := d.clients.client(t).GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, status, err := externaldata.DefaultSendRequestToProvider(t.Context(), d.provider("shape", "/ratify/gatekeeper/v1/verify"), []string{w.signed, w.notation, w.unsigned}, client)
	if err != nil || status != 200 || len(answer.Response.Items) != 3 || answer.Response.SystemError != "" {
		t.Fatalf("got %d, %+v, %v", status, answer, err)
	}
	for i, want := range []struct {
		success bool
		kind    string
	}{{true, "cosign"}, {true, "notation"}, {false, "policy"}} {
		raw, err := json.Marshal(answer.Response.Items[i].Value)
		if err != nil {
			t.Fatal(err)
		}
		var value struct {
			Version         string                    `json:"version"`
			IsSuccess       *bool                     `json:"isSuccess"`
			Succeeded       *bool                     `json:"succeeded"`
			TraceID         string                    `json:"traceID"`
			Timestamp       string                    `json:"timestamp"`
			VerifierReports []verifier.VerifierResult `json:"verifierReports"`
		}
		decoder := json.NewDecoder(bytes.NewReader(raw))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&value); err != nil {
			t.Fatalf("%v in %s", err, raw)
		}
		if value.IsSuccess == nil || *value.IsSuccess != want.success || value.Succeeded == nil || *value.Succeeded != want.success {
			t.Errorf("want success=%t, got %s", want.success, raw)
		}
		if value.Version != "0.2.0" || value.TraceID == "" || value.Timestamp == "" || len(value.VerifierReports) != 1 {
			t.Fatalf("want every field, got %s", raw)
		}
		r := value.VerifierReports[0]
		if r.IsSuccess != want.success || r.Type != want.kind || r.VerifierType != want.kind || r.Message == "" || r.Subject == "" || r.Name != "release" {
			t.Errorf("want a report of %s that explains, got %s", want.kind, raw)
		}
	}
}
