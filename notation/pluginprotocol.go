package notation

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	framework "github.com/notaryproject/notation-plugin-framework-go/plugin"
	"golang.org/x/mod/semver"

	"github.com/bonafide-dev/bonafide/evidence"
)

// maxVersion bounds a version in characters, a signature's or a plugin's.
const maxVersion = 100

// validVersion reports whether v is a version of Semantic Versioning 2.0.0
// with all its three numbers.
func validVersion(v string) bool {
	return len(v) <= maxVersion && semver.IsValid("v"+v) && semver.Canonical("v"+v)+semver.Build("v"+v) == "v"+v
}

// metadata is what a plugin says about itself.
type metadata struct {
	version      string
	capabilities []framework.Capability // to verify, without repetition
}

// What a plugin answers is not repeated but for its reasons, from which
// [Plugin.redact] can remove what it was configured with: quoted or cut, a
// secret would no longer be found.

// readMetadata parses the answer to get-plugin-metadata (plugin-extensibility.md,
// "Plugin metadata"). It refuses one by another name, of another contract, or
// without a capability to verify.
func readMetadata(name string, data []byte) (metadata, error) {
	var answer framework.GetMetadataResponse
	if err := evidence.DecodeJSON(data, &answer); err != nil {
		return metadata{}, err
	}
	switch {
	case answer.Name != name:
		return metadata{}, fmt.Errorf("expected the name %q, got another", name)
	case !validVersion(answer.Version):
		return metadata{}, errors.New("expected a semantic version, got none")
	case !slices.Contains(answer.SupportedContractVersions, framework.ContractVersion):
		return metadata{}, fmt.Errorf("expected contract version %q among those that it supports, got others", framework.ContractVersion)
	}
	m := metadata{version: answer.Version}
	for _, c := range []framework.Capability{framework.CapabilityTrustedIdentityVerifier, framework.CapabilityRevocationCheckVerifier} {
		if slices.Contains(answer.Capabilities, c) {
			m.capabilities = append(m.capabilities, c)
		}
	}
	if len(m.capabilities) == 0 {
		return metadata{}, errors.New("expected a capability to verify signatures, got none")
	}
	return m, nil
}

// response is the answer to verify-signature, complete: it has a result of
// every capability that was asked for.
type response struct {
	results   map[framework.Capability]verdict
	processed []string // names of attributes
}

// verdict is what a plugin says about one capability.
type verdict struct {
	success bool
	reason  string
}

// readResponse parses the answer to verify-signature (plugin-extensibility.md,
// "Signature verification"). A result that is missing, or of a capability that
// the plugin does not have, is a fault.
func readResponse(data []byte, asked, has []framework.Capability) (response, error) {
	var answer struct {
		Results map[framework.Capability]*struct {
			Success *bool  `json:"success"`
			Reason  string `json:"reason"`
		} `json:"verificationResults"`
		Processed []any `json:"processedAttributes"`
	}
	if err := evidence.DecodeJSON(data, &answer); err != nil {
		return response{}, err
	}
	r := response{results: make(map[framework.Capability]verdict, len(asked))}
	for c, result := range answer.Results {
		switch {
		case !slices.Contains(has, c):
			return response{}, errors.New("expected results of its capabilities, got one of another")
		case result == nil || result.Success == nil:
			return response{}, fmt.Errorf("expected a result of %s that says whether it succeeded, got none", c)
		}
		r.results[c] = verdict{success: *result.Success, reason: result.Reason}
	}
	for _, c := range asked {
		if _, found := r.results[c]; !found {
			return response{}, fmt.Errorf("expected a result of %s, got none", c)
		}
	}
	for _, name := range answer.Processed {
		// Other types name attributes that no request of ours holds.
		if text, ok := name.(string); ok {
			r.processed = append(r.processed, text)
		}
	}
	return r, nil
}

// readRefusal parses what a plugin writes to stderr when it fails
// (plugin-extensibility.md, "Error codes"). Other text is not repeated.
func readRefusal(data []byte) error {
	var refusal framework.Error
	if err := json.Unmarshal(data, &refusal); err != nil {
		return errors.New("it says no reason that the protocol knows")
	}
	switch refusal.ErrCode {
	case framework.ErrorCodeValidation, framework.ErrorCodeUnsupportedContractVersion, framework.ErrorCodeAccessDenied,
		framework.ErrorCodeTimeout, framework.ErrorCodeThrottled, framework.ErrorCodeGeneric:
		return fmt.Errorf("%s: %s", refusal.ErrCode, refusal.Message)
	}
	return errors.New("it says no error code that the protocol knows")
}
