package notation

import (
	"fmt"
	"slices"

	"github.com/notaryproject/notation-go/verifier/trustpolicy"
)

// rules are what a statement asks of each validation.
type rules map[trustpolicy.ValidationType]trustpolicy.ValidationAction

// rulesOf returns the actions of a level under its overrides.
func rulesOf(v trustpolicy.SignatureVerification) (rules, error) {
	level, err := v.GetVerificationLevel()
	if err != nil {
		return nil, fmt.Errorf("read level: %w", err)
	}
	return rules(level.Enforcement), nil
}

func (r rules) enforces(t trustpolicy.ValidationType) bool {
	return r[t] == trustpolicy.ActionEnforce
}

// skipped reports the level "skip", the only one that skips integrity.
func (r rules) skipped() bool { return r[trustpolicy.TypeIntegrity] == trustpolicy.ActionSkip }

// proves reports whether a signature that passes is a proof (TRUST R29).
func (r rules) proves() bool {
	return r.enforces(trustpolicy.TypeIntegrity) && r.enforces(trustpolicy.TypeAuthenticity)
}

// weaknesses lists what the rules do not enforce, in a stable order.
func (r rules) weaknesses() []string {
	var found []string
	for _, t := range trustpolicy.ValidationTypes {
		if !r.enforces(t) {
			found = append(found, fmt.Sprintf("%s: %s", t, orSkip(r[t])))
		}
	}
	slices.Sort(found)
	return found
}

func orSkip(a trustpolicy.ValidationAction) string {
	if a == "" {
		return string(trustpolicy.ActionSkip)
	}
	return string(a)
}

// checkTimestamps refuses settings of timestamps that nothing would read
// (TRUST R29). Overriding authenticTimestamp also means something to the
// scheme of signing authorities, which brings its own time.
func checkTimestamps(v trustpolicy.SignatureVerification, stores []TrustStore) error {
	has := func(t StoreType) bool {
		return slices.ContainsFunc(stores, func(s TrustStore) bool { return s.Type == t })
	}
	if has(TSA) {
		return nil
	}
	if v.VerifyTimestamp != "" {
		return fmt.Errorf("verifyTimestamp %q: expected a trust store of type %q beside it, got none", v.VerifyTimestamp, TSA)
	}
	if action, set := v.Override[trustpolicy.TypeAuthenticTimestamp]; set && !has(SigningAuthority) {
		return fmt.Errorf("override authenticTimestamp %q: expected a trust store of type %q or %q beside it, got none", action, TSA, SigningAuthority)
	}
	return nil
}

func overrideOf(override map[string]string) map[trustpolicy.ValidationType]trustpolicy.ValidationAction {
	if len(override) == 0 {
		return nil
	}
	m := make(map[trustpolicy.ValidationType]trustpolicy.ValidationAction, len(override))
	for t, action := range override {
		m[trustpolicy.ValidationType(t)] = trustpolicy.ValidationAction(action)
	}
	return m
}
