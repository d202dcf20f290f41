package attest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// predicateTypes are the short names of predicate types, those that cosign's
// --type knows and openvex's.
func predicateTypes() map[string]string {
	return map[string]string{
		"custom":           "https://cosign.sigstore.dev/attestation/v1",
		"cyclonedx":        "https://cyclonedx.org/bom",
		"link":             "https://in-toto.io/Link/v1",
		"openvex":          "https://openvex.dev/ns",
		"slsaprovenance":   "https://slsa.dev/provenance/v0.2",
		"slsaprovenance02": "https://slsa.dev/provenance/v0.2",
		"slsaprovenance1":  "https://slsa.dev/provenance/v1",
		"spdx":             "https://spdx.dev/Document",
		"spdxjson":         "https://spdx.dev/Document",
		"vuln":             "https://cosign.sigstore.dev/attestation/vuln/v1",
	}
}

// PredicateTypes returns the short names of predicate types, sorted.
func PredicateTypes() []string { return slices.Sorted(maps.Keys(predicateTypes())) }

// PredicateType returns the predicate type that name is: the one that a short
// name stands for, such as spdxjson, or name itself if it is a URI. Whatever
// has neither a colon nor a slash must be a short name. The error is a
// [*PredicateTypeError].
func PredicateType(name string) (string, error) {
	if uri, known := predicateTypes()[name]; known {
		return uri, nil
	}
	if len(name) > maxPredicateType || !strings.ContainsAny(name, ":/") || strings.ContainsFunc(name, notInURI) {
		return "", &PredicateTypeError{Name: name}
	}
	return name, nil
}

// maxPredicateType bounds a predicate type. The longest in use have some
// hundred characters.
const maxPredicateType = 1024

// notInURI reports characters that no URI has: RFC 3986 §2 knows printable
// ASCII alone.
func notInURI(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("<>\"{}|\\^`", r) }

// PredicateTypeError says that a name is neither a short name of a predicate
// type nor a URI.
type PredicateTypeError struct{ Name string }

// Error names the short names that there are.
func (e *PredicateTypeError) Error() string {
	return fmt.Sprintf("expected a URI or one of %s, got %q", strings.Join(PredicateTypes(), ", "), clip(e.Name, maxQuoted))
}

// maxQuoted bounds what an error repeats of its input, in bytes.
const maxQuoted = 200

func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
