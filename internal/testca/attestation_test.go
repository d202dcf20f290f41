package testca_test

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sigstore/rekor/pkg/generated/models"
	"github.com/sigstore/rekor/pkg/types"
	_ "github.com/sigstore/rekor/pkg/types/dsse/v0.0.1"
	_ "github.com/sigstore/rekor/pkg/types/intoto/v0.0.2"

	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/testca"
)

// What Rekor makes of an envelope that a client sends is what the log of tests
// holds.
func TestAttestationEntriesAreRekors(t *testing.T) {
	s, key := testca.New(t, testca.Options{}), newKey(t, fixture.P256)
	registry, err := fixture.NewRegistry(fixture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer registry.Close()
	image, err := registry.PushImage(t.Context(), "acme/app:v1", "hello")
	if err != nil {
		t.Fatal(err)
	}
	signed, err := registry.SignAttestation(t.Context(), image, key, fixture.AttestationOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]testca.EntryOptions{
		"DSSE":   {Kind: "dsse", Version: "0.0.1"},
		"InToto": {Kind: "intoto", Version: "0.0.2"},
	} {
		t.Run(name, func(t *testing.T) {
			entry, err := s.Entry(signed, o)
			if err != nil {
				t.Fatal(err)
			}
			proposed, err := types.NewProposedEntry(t.Context(), o.Kind, o.Version, types.ArtifactProperties{
				ArtifactBytes: signed.Envelope, PublicKeyBytes: [][]byte{key.PublicPEM}, PKIFormat: "x509",
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(rekors(t, proposed), decoded(t, entry.GetCanonicalizedBody())); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// rekors is the body that Rekor logs of an entry that a client proposes.
func rekors(t *testing.T, proposed models.ProposedEntry) any {
	t.Helper()
	raw, err := json.Marshal(proposed)
	if err != nil {
		t.Fatal(err)
	}
	received, err := models.UnmarshalProposedEntry(bytes.NewReader(raw), jsonConsumer{})
	if err != nil {
		t.Fatal(err)
	}
	entry, err := types.CreateVersionedEntry(received)
	if err != nil {
		t.Fatal(err)
	}
	body, err := entry.Canonicalize(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return decoded(t, body)
}

func decoded(t *testing.T, raw []byte) any {
	t.Helper()
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		t.Fatal(err)
	}
	return value
}

// jsonConsumer is what Rekor's models ask for.
type jsonConsumer struct{}

func (jsonConsumer) Consume(r io.Reader, into any) error { return json.NewDecoder(r).Decode(into) }
