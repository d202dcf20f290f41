package sigstore_test

import (
	"bytes"
	"encoding/asn1"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/testca"
	"github.com/bonafide-dev/bonafide/sigstore"
)

// The tests of this file each repeat what a published advisory says went wrong
// in another verifier of Sigstore's signatures.

// TestCVE202223649LogEntryOfAnotherSignature: cosign took a genuine log entry
// for proof without looking whether it was of this signature.
func TestCVE202223649LogEntryOfAnotherSignature(t *testing.T) {
	s, image, k := testca.New(t, testca.Options{}), app(t), newKey(t, fixture.P256)
	ours := signer(t, k, required(t, s))
	item := simple(t, image, k, fixture.CosignOptions{Annotate: s.Annotate(testca.EntryOptions{})})
	want(t, ours, image, item, "")
	annotate(fixture.AnnotationRekorBundle, logged(t, s, image, k))(&item)
	want(t, ours, image, item, evidence.LogEntryInvalid)
}

// TestCVE202622703UnrelatedLogEntry: cosign accepted a bundle whose log entry
// was of another key's signature over something else.
func TestCVE202622703UnrelatedLogEntry(t *testing.T) {
	s, image := whole(t), app(t)
	evil, c := issued(t, s, testca.CertificateOptions{Subject: "evil@evil.test"}), issued(t, s, testca.CertificateOptions{})
	ours := keyless(t, s, workflow(), nil)
	eachForm(t, nil, func(t *testing.T, f form) {
		unrelated := signedOf(t, f, subject(t, "registry.test/evil/app:v1", "evil"), evil)
		f.want(t, ours, image, f.sign(t, image, c, testimony{by: s}), "")
		f.want(t, ours, image, f.sign(t, image, c, testimony{by: s, entry: testca.EntryOptions{Of: &unrelated}}), evidence.LogEntryInvalid)
	})
}

// TestCVE202235929AttestationOfAnotherType: cosign and the policy controller
// (CVE-2022-35930) counted any valid attestation when one of a certain type was
// asked for.
func TestCVE202235929AttestationOfAnotherType(t *testing.T) {
	s, image := whole(t), app(t)
	ours, c := keyless(t, s, workflow(), nil), issued(t, s, testca.CertificateOptions{})
	eachForm(t, func(f form) bool { return f.attests }, func(t *testing.T, f form) {
		item := f.sign(t, image, c, testimony{by: s})
		wantStatement(t, ours, image, item, custom, "")
		wantStatement(t, ours, image, item, fixture.PredicateTypeSLSA1, evidence.NotAttested)
		want(t, ours, image, item, evidence.UnsupportedEvidence) // nor is it a signature
	})
}

// TestCVE202236056VerifyBlob: cosign's check of files forgot to compare the log
// entry with the signature and the identity with the certificate when a bundle
// was given.
func TestCVE202236056VerifyBlob(t *testing.T) {
	s, content := whole(t), file("a file")
	c, evil := issued(t, s, testca.CertificateOptions{}), issued(t, s, testca.CertificateOptions{Subject: "evil@evil.test"})
	ours := keyless(t, s, workflow(), nil)
	f := forms["Bundle03Message"]
	bundle := func(c testca.Certificate, y testimony) []byte {
		y.by = s
		return f.sign(t, content, c, y).Payload
	}
	wantBundle(t, ours, bundle(c, testimony{}), artifact(t, content.Raw), "")
	wantBundle(t, ours, bundle(evil, testimony{}), artifact(t, content.Raw), evidence.IdentityMismatch)
	wantBundle(t, ours, bundle(c, testimony{entry: testca.EntryOptions{PublicPEM: evil.PEM}}), artifact(t, content.Raw), evidence.LogEntryInvalid)
	wantBundle(t, ours, bundle(c, testimony{unlogged: true}), artifact(t, content.Raw), evidence.LogEntryMissing)
}

// TestCVE202429902HugeAttachment: cosign read attachments of any size into
// memory (and of any number, CVE-2024-29903, CVE-2023-46737).
func TestCVE202429902HugeAttachment(t *testing.T) {
	s, image := whole(t), app(t)
	ours, c := keyless(t, s, workflow(), nil), issued(t, s, testca.CertificateOptions{})
	for _, of := range []string{"Sig", "Att", "Bundle03"} {
		f := forms[of]
		item := f.sign(t, image, c, testimony{by: s})
		item.Payload = append(bytes.Clone(item.Payload), bytes.Repeat([]byte(" "), evidence.MaxSignatureBytes)...)
		f.want(t, ours, image, item, evidence.LimitExceeded)
	}
}

// TestCVE202624122ExpiredIntermediate: cosign judged only the leaf at the time
// of signing, so an authority whose certificate had ended still counted.
func TestCVE202624122ExpiredIntermediate(t *testing.T) {
	image := app(t)
	s := testca.New(t, testca.Options{Whole: true, FulcioIntermediate: testca.Period{Until: longAgo().Add(-time.Second)}})
	c := issued(t, s, testca.CertificateOptions{})
	unlogged := func(o *sigstore.KeylessOptions) { o.TransparencyLog = sigstore.LogIgnored }
	for name, ours := range map[string]*sigstore.Signer{
		"Keyless": keyless(t, s, workflow(), nil), "KeylessUnlogged": keyless(t, s, workflow(), unlogged),
		"Certificate": certified(t, sigstore.CertificateOptions{Chain: s.FulcioChain(), AnySubject: true}),
	} {
		t.Run(name, func(t *testing.T) {
			eachForm(t, nil, func(t *testing.T, f form) {
				f.want(t, ours, image, f.sign(t, image, c, testimony{by: s, stamped: true}), evidence.CertificateInvalid)
			})
		})
	}
}

// TestCVE202639395PayloadThatDoesNotParse: cosign reported success for an
// attestation whose statement it could not read.
func TestCVE202639395PayloadThatDoesNotParse(t *testing.T) {
	k, image, content := newKey(t, fixture.P256), app(t), file("a file")
	s := signer(t, k, ignored)
	for name, payload := range map[string]string{"Text": "x", "Cut": `{"_type":`, "Twice": `{"_type":"a","_type":"b"}`, "Empty": " "} {
		t.Run(name, func(t *testing.T) {
			wantStatement(t, s, image, attested(t, image, k, fixture.AttestationOptions{Statement: []byte(payload)}), custom, evidence.MalformedEvidence)
			raw := bundled(t, content, k, fixture.BundleOptions{Statement: []byte(payload)})
			wantStatement(t, s, image, raw, custom, evidence.MalformedEvidence)
			wantBundle(t, s, raw.Payload, artifact(t, content.Raw), evidence.MalformedEvidence)
		})
	}
}

// TestCVE202445395EndlessLists: sigstore-go went through as many log entries,
// timestamps, subjects and digests as a bundle cared to list.
func TestCVE202445395EndlessLists(t *testing.T) {
	s, image := whole(t), app(t)
	ours, c := keyless(t, s, workflow(), nil), issued(t, s, testca.CertificateOptions{})
	entries := make([]testca.EntryOptions, 33)
	for i := range entries {
		entries[i] = testca.EntryOptions{Time: longAgo(), Index: int64(i + 1)}
	}
	stamps := make([]testca.TimestampOptions, 33)
	for i := range stamps {
		stamps[i].Time = longAgo()
	}
	subjects := strings.Repeat(`{"digest":{"sha256":"00"}},`, 1024) + `{"digest":{"sha256":"` + image.Digest.Hex() + `"}}`
	var digests strings.Builder
	for i := range 32 {
		fmt.Fprintf(&digests, `"d%d":"00",`, i)
	}
	statement := func(subjects string) []byte {
		return []byte(`{"_type":"` + fixture.StatementV1 + `","subject":[` + subjects + `],"predicateType":"` + custom + `"}`)
	}
	entered := s.LogEntries(entries[:1]...)
	for name, o := range map[string]fixture.BundleOptions{
		"Entries":    {LogEntries: s.LogEntries(entries...)},
		"Timestamps": {LogEntries: entered, Timestamps: s.Timestamps(stamps...)},
		"Subjects":   {LogEntries: entered, Statement: statement(subjects)},
		"Digests":    {LogEntries: entered, Statement: statement(`{"digest":{` + digests.String() + `"sha256":"` + image.Digest.Hex() + `"}}`)},
	} {
		t.Run(name, func(t *testing.T) {
			o.PredicateType = custom
			wantStatement(t, ours, image, bundled(t, image, c.Key, c.Bundle(o)), custom, evidence.LimitExceeded)
		})
	}
	t.Run("TenThousandEntries", func(t *testing.T) {
		o := c.Bundle(fixture.BundleOptions{LogEntries: entered, Edit: func(b *protobundle.Bundle) {
			one := b.VerificationMaterial.TlogEntries[0]
			b.VerificationMaterial.TlogEntries = nil
			for range 10_000 {
				b.VerificationMaterial.TlogEntries = append(b.VerificationMaterial.TlogEntries, &protorekor.TransparencyLogEntry{LogId: one.GetLogId()})
			}
		}})
		want(t, ours, image, bundled(t, image, c.Key, o), evidence.LimitExceeded)
	})
}

// TestCVE202649834OneEntryIsNotTwo: sigstore-go let several entries, or
// certificate timestamps, of one log fill a threshold of logs.
func TestCVE202649834OneEntryIsNotTwo(t *testing.T) {
	s, other, image := whole(t), whole(t), app(t)
	ours, c := keyless(t, s, workflow(), nil), issued(t, s, testca.CertificateOptions{})
	at := testca.EntryOptions{Time: longAgo()}
	want(t, ours, image, bundled(t, image, c.Key, c.Bundle(fixture.BundleOptions{LogEntries: s.LogEntries(at, at)})), evidence.LogEntryInvalid)
	// Many promises of a log that nobody named are none.
	unknown := issued(t, s, testca.CertificateOptions{SCTs: []testca.SCTOptions{{By: other}, {By: other}, {Broken: true}}})
	forms["Bundle03"].want(t, ours, image, forms["Bundle03"].sign(t, image, unknown, testimony{by: s}), evidence.CertificateUntrusted)
}

// TestCVE202654787TimeBeyondTheKey: sigstore-go did not compare a timestamp with
// when the public key was in use.
func TestCVE202654787TimeBeyondTheKey(t *testing.T) {
	s, image, k := whole(t), app(t), newKey(t, fixture.P256)
	key := testca.Certificate{Key: k}
	limited := required(t, s)
	limited.NotBefore, limited.NotAfter = longAgo().Add(-time.Hour), longAgo().Add(time.Hour)
	ours := signer(t, k, limited)
	eachForm(t, nil, func(t *testing.T, f form) {
		f.want(t, ours, image, f.sign(t, image, key, testimony{by: s, stamped: true}), "")
		for _, beyond := range []time.Duration{-2 * time.Hour, 2 * time.Hour} {
			stamp := testca.TimestampOptions{Time: longAgo().Add(beyond)}
			f.want(t, ours, image, f.sign(t, image, key, testimony{by: s, stamped: true, stamp: stamp}), evidence.TimestampInvalid)
		}
	})
}

// TestCVE202639984CertificateOfTheAuthority: the timestamp authority's
// verifier was lax about the certificate of whoever signs a token.
func TestCVE202639984CertificateOfTheAuthority(t *testing.T) {
	s, other, image := whole(t), whole(t), app(t)
	ours, c := keyless(t, s, workflow(), nil), issued(t, s, testca.CertificateOptions{})
	lax := testca.New(t, testca.Options{Whole: true, EditTimestamper: func(c *testca.Template) { c.ExtraExtensions = nil }})
	eachForm(t, nil, func(t *testing.T, f form) {
		anyUse := f.sign(t, image, issued(t, lax, testca.CertificateOptions{}), testimony{by: lax, stamped: true})
		f.want(t, keyless(t, lax, workflow(), nil), image, anyUse, evidence.TimestampInvalid)
	})
	eachForm(t, func(f form) bool { return f.rekor2 }, func(t *testing.T, f form) {
		f.want(t, ours, image, f.sign(t, image, c, testimony{by: s, stamp: testca.TimestampOptions{Forged: true}}), evidence.TimestampInvalid)
		f.want(t, ours, image, f.sign(t, image, c, testimony{by: s, stamp: testca.TimestampOptions{By: other}}), evidence.TimestampMissing)
	})
}

// TestCVE202566564TokenOfManyParts: the timestamp authority split what it was
// sent at every dot, whatever its length. A token of ours is bounded by the
// signature's bytes and read by its lengths.
func TestCVE202566564TokenOfManyParts(t *testing.T) {
	s, image := whole(t), app(t)
	ours, c := keyless(t, s, workflow(), nil), issued(t, s, testca.CertificateOptions{})
	oid, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagOID, Bytes: bytes.Repeat([]byte{1}, 1<<20)})
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string][]byte{
		"Dots": bytes.Repeat([]byte("."), 1<<20), "Identifier": oid, "Nested": bytes.Repeat([]byte{0x30, 0x80}, 1<<18),
	} {
		t.Run(name, func(t *testing.T) {
			raw, err := json.Marshal(map[string][]byte{"SignedRFC3161Timestamp": token})
			if err != nil {
				t.Fatal(err)
			}
			item := forms["Sig"].sign(t, image, c, testimony{by: s})
			annotate(fixture.AnnotationTimestamp, string(raw))(&item)
			want(t, ours, image, item, evidence.LimitExceeded)
			stamps := func(fixture.Signed) ([][]byte, error) { return [][]byte{token}, nil }
			o := c.Bundle(fixture.BundleOptions{LogEntries: s.LogEntries(testca.EntryOptions{Time: longAgo()}), Timestamps: stamps})
			want(t, ours, image, bundled(t, image, c.Key, o), evidence.LimitExceeded)
		})
	}
}

// TestCVE202330551EntriesOfArchives: Rekor unpacked archives that entries of
// kinds jar and apk named, whatever they unpacked to (later CVE-2026-48702). No
// kind of ours holds an archive, and none of those is read.
func TestCVE202330551EntriesOfArchives(t *testing.T) {
	s, image := whole(t), app(t)
	ours, c := keyless(t, s, workflow(), nil), issued(t, s, testca.CertificateOptions{})
	for _, kind := range []string{"jar", "alpine", "rpm", "helm", "tuf", "cose", "rfc3161"} {
		t.Run(kind, func(t *testing.T) {
			rename := func(raw []byte) []byte {
				raw = bytes.Replace(raw, []byte(`"kind":"hashedrekord"`), []byte(`"kind":"`+kind+`"`), 1)
				return bytes.Replace(raw, []byte(`"kind":"dsse"`), []byte(`"kind":"`+kind+`"`), 1)
			}
			entries := func(signed fixture.Signed) ([]*protorekor.TransparencyLogEntry, error) {
				e, err := s.Entry(signed, testca.EntryOptions{Time: longAgo()})
				if err != nil {
					return nil, err
				}
				e.CanonicalizedBody, e.KindVersion.Kind = rename(e.GetCanonicalizedBody()), kind
				return []*protorekor.TransparencyLogEntry{e}, nil
			}
			want(t, ours, image, bundled(t, image, c.Key, c.Bundle(fixture.BundleOptions{LogEntries: entries})), evidence.LogEntryInvalid)
		})
	}
}

// TestCVE202333199EntryThatPanics: Rekor fell over entries of kind intoto whose
// members were missing.
func TestCVE202333199EntryThatPanics(t *testing.T) {
	s, image := whole(t), app(t)
	ours, c := keyless(t, s, workflow(), nil), issued(t, s, testca.CertificateOptions{})
	edits := map[string]func(map[string]any){
		"NoContent": func(spec map[string]any) {
			delete(spec, "content")
			delete(spec, "signatures")
			delete(spec, "signature")
		},
		"NullContent": func(spec map[string]any) { spec["content"], spec["signatures"], spec["signature"] = nil, nil, nil },
		"NoSignatures": func(spec map[string]any) {
			spec["content"], spec["signatures"] = map[string]any{"envelope": map[string]any{"signatures": []any{}}}, []any{}
			spec["signature"] = map[string]any{}
		},
		"NoHash": func(spec map[string]any) {
			delete(spec, "payloadHash")
			delete(spec, "data")
			delete(spec, "envelopeHash")
			if m, is := spec["content"].(map[string]any); is {
				delete(m, "payloadHash")
				delete(m, "hash")
			}
		},
		"Nothing": func(spec map[string]any) { clear(spec) },
	}
	for name, edit := range edits {
		t.Run(name, func(t *testing.T) {
			eachForm(t, nil, func(t *testing.T, f form) {
				f.want(t, ours, image, f.sign(t, image, c, testimony{by: s, entry: testca.EntryOptions{Edit: edit}}), evidence.LogEntryInvalid)
			})
		})
	}
}
