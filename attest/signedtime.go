package attest

import (
	"errors"
	"strings"
	"time"

	"github.com/bonafide-dev/bonafide/policy"
)

// SignedTime returns the time that a statement or an artifact states of itself,
// which its signature covers:
//
//   - SLSA provenance: metadata.buildFinishedOn, or before version 1
//     runDetails.metadata.finishedOn; where that is missing, when the build began;
//   - cosign's vuln: metadata.scanFinishedOn, or when the scan began; that of the
//     report inside if it is earlier;
//   - SPDX 2: creationInfo.created; CycloneDX: metadata.timestamp;
//   - OpenVEX: timestamp, not when it was last updated;
//   - SARIF: the earliest invocations[].endTimeUtc, if every run has one;
//   - reports of Trivy (CreatedAt) and Grype (descriptor.timestamp);
//   - cosign's custom: Timestamp.
//
// It reports false for another document, one that could be of two kinds, and one
// whose time is missing, zero, or not of the strict form of RFC 3339. Which kind
// a document is of is told by its fields, whatever its type is called. The time
// is the signer's word, and may be in the future: the function reads no clock,
// and who compares the time refuses that.
//
// It is safe for concurrent use.
func SignedTime(s *policy.Statement) (time.Time, bool) {
	t, err := signedTime(s)
	return t, err == nil
}

func signedTime(s *policy.Statement) (time.Time, error) {
	if s == nil || len(s.Payload) > maxDocument {
		return time.Time{}, errors.New("expected a document of at most 10 MiB")
	}
	document, err := s.Predicate()
	if err != nil {
		return time.Time{}, err
	}
	c := &cursor{}
	doc := c.object(document, "the document")
	t := c.stated(doc, s.Type)
	switch {
	case c.err != nil:
		return time.Time{}, c.err
	case t.IsZero():
		return time.Time{}, errors.New("expected a document that states its time, got one that does not")
	}
	return t, nil
}

// dating reads the time of one kind of document, which has the field.
type dating struct {
	field string
	read  func(*cursor, map[string]any) time.Time
}

func datings() []dating {
	return []dating{
		{"builder", func(c *cursor, doc map[string]any) time.Time {
			return c.ended(c.part(doc, "metadata"), "buildFinishedOn", "buildStartedOn")
		}},
		{"runDetails", func(c *cursor, doc map[string]any) time.Time {
			return c.ended(c.part(c.part(doc, "runDetails"), "metadata"), "finishedOn", "startedOn")
		}},
		{"scanner", (*cursor).vulnTime},
		{"spdxVersion", func(c *cursor, doc map[string]any) time.Time { return c.moment(c.part(doc, "creationInfo"), "created") }},
		{"bomFormat", func(c *cursor, doc map[string]any) time.Time { return c.moment(c.part(doc, "metadata"), "timestamp") }},
		{"runs", (*cursor).sarifTime},
		{"SchemaVersion", func(c *cursor, doc map[string]any) time.Time { return c.moment(doc, "CreatedAt") }},
		{"matches", func(c *cursor, doc map[string]any) time.Time { return c.moment(c.part(doc, "descriptor"), "timestamp") }},
	}
}

// stated returns the time that a document states, zero if it states none.
func (c *cursor) stated(doc map[string]any, kind string) time.Time {
	if kind == predicateTypes()["custom"] {
		return c.moment(doc, "Timestamp")
	}
	var found []func(*cursor, map[string]any) time.Time
	if context, _ := doc["@context"].(string); strings.HasPrefix(context, vexContext) {
		found = append(found, func(c *cursor, doc map[string]any) time.Time { return c.moment(doc, "timestamp") })
	}
	for _, d := range datings() {
		if _, has := doc[d.field]; has {
			found = append(found, d.read)
		}
	}
	if len(found) > 1 {
		c.fail("expected a document of one kind, got one that could be of %d", len(found))
	}
	if len(found) != 1 {
		return time.Time{}
	}
	return found[0](c, doc)
}

// ended returns when something ended or, where that is not said, began: the
// earlier time is never too young.
func (c *cursor) ended(o map[string]any, end, begin string) time.Time {
	if t := c.moment(o, end); !t.IsZero() {
		return t
	}
	return c.moment(o, begin)
}

// vulnTime is that of the scan or of the report inside, whose kind need not be
// known.
func (c *cursor) vulnTime(doc map[string]any) time.Time {
	t := c.ended(c.part(doc, "metadata"), "scanFinishedOn", "scanStartedOn")
	report, is := c.part(doc, "scanner")["result"].(map[string]any)
	if _, nested := report["scanner"]; !is || nested {
		return t
	}
	return earliest(t, c.stated(report, ""))
}

// sarifTime is when the first of the runs ended. Where one does not say, none
// counts.
func (c *cursor) sarifTime(doc map[string]any) time.Time {
	var first time.Time
	for _, v := range c.list(doc, "runs") {
		var ended time.Time
		for _, v := range c.list(c.object(v, "runs[]"), "invocations") {
			ended = earliest(ended, c.moment(c.object(v, "invocations[]"), "endTimeUtc"))
		}
		if c.err != nil || ended.IsZero() {
			return time.Time{}
		}
		first = earliest(first, ended)
	}
	return first
}
