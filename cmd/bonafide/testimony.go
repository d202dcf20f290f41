package main

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/bonafide-dev/bonafide/attest"
	"github.com/bonafide-dev/bonafide/policy"
)

// restsOn says what a proof rests on, for --explain: one line a fact, each with
// its name.
func restsOn(p policy.Proof) [][2]string {
	var lines [][2]string
	add := func(name, format string, args ...any) {
		lines = append(lines, [2]string{name, fmt.Sprintf(format, args...)})
	}
	if t := p.Testimony; t != nil {
		if c := t.Certificate; c != nil {
			add("identity", "%s", c.Identity)
			if c.Issuer != "" {
				add("issuer", "%s", c.Issuer)
			}
			for _, name := range slices.Sorted(maps.Keys(c.Extensions)) {
				add(name, "%s", c.Extensions[name])
			}
			add("certificate", "sha256:%s, serial %s, by %s, valid %s to %s", c.Fingerprint, c.Serial, c.CA, second(c.NotBefore), second(c.NotAfter))
		}
		for _, e := range t.Entries {
			at := ""
			if !e.Time.IsZero() {
				at = ", integrated " + second(e.Time)
			}
			add("log entry", "index %d in log %s%s", e.Index, e.Log, at)
		}
		for _, at := range t.Timestamps {
			add("timestamp", "%s", second(at))
		}
	}
	if p.Reference != "" {
		add("signed for", "%s", p.Reference)
	}
	if p.Statement != nil {
		add("predicate", "%s", attest.Summary(p.Statement))
	}
	return lines
}

func second(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// jsonTestimony is what a proof rests on, in the words of the JSON.
type (
	jsonTestimony struct {
		Certificate *jsonCertificate `json:"certificate,omitempty"`
		Entries     []jsonEntry      `json:"logEntries,omitempty"`
		Timestamps  []time.Time      `json:"timestamps,omitempty"`
		Reference   string           `json:"signedReference,omitempty"`
		Predicate   string           `json:"predicate,omitempty"`
	}
	jsonCertificate struct {
		Identity    string            `json:"identity"`
		Issuer      string            `json:"issuer,omitempty"`
		CA          string            `json:"ca"`
		Serial      string            `json:"serial"`
		Fingerprint string            `json:"sha256"`
		NotBefore   time.Time         `json:"notBefore"`
		NotAfter    time.Time         `json:"notAfter"`
		Extensions  map[string]string `json:"extensions,omitempty"`
	}
	jsonEntry struct {
		Log   string     `json:"log"`
		Index int64      `json:"index"`
		Time  *time.Time `json:"time,omitempty"`
	}
)

// testimonyJSON is nil of a proof that rests on nothing but its signer, such as a
// bare key.
func testimonyJSON(p policy.Proof) *jsonTestimony {
	if len(restsOn(p)) == 0 {
		return nil
	}
	j := &jsonTestimony{Reference: p.Reference}
	if p.Statement != nil {
		j.Predicate = attest.Summary(p.Statement)
	}
	t := p.Testimony
	if t == nil {
		return j
	}
	if c := t.Certificate; c != nil {
		j.Certificate = &jsonCertificate{
			Identity: c.Identity, Issuer: c.Issuer, CA: c.CA, Serial: c.Serial, Fingerprint: c.Fingerprint,
			NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(), Extensions: c.Extensions,
		}
	}
	for _, e := range t.Entries {
		entry := jsonEntry{Log: e.Log, Index: e.Index}
		if !e.Time.IsZero() {
			at := e.Time.UTC()
			entry.Time = &at
		}
		j.Entries = append(j.Entries, entry)
	}
	for _, at := range t.Timestamps {
		j.Timestamps = append(j.Timestamps, at.UTC())
	}
	return j
}
