package kyverno

import (
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/policy"
)

// action is a mode and the namespaces for which a rule has it.
type action struct {
	mode    policy.Mode
	applies func(policy.Namespace) truth // nil: all
}

const (
	enforceAction = "Enforce"
	auditAction   = "Audit"
)

// modes returns how a rule's failures are treated: as its entries say, of which
// one that enforces decides for all; else as the policy says for a namespace;
// else as the policy says. Nothing said is Audit.
func (c *compiler) modes(path string, r *rule) []action {
	set, says := -1, ""
	for i := range r.VerifyImages {
		here := dialect.At(path+".verifyImages", i) + ".failureAction"
		word := c.choice(here, r.VerifyImages[i].FailureAction, enforceAction, auditAction)
		if word >= 0 && (set < 0 || word == 0) {
			set, says = word, here
		}
	}
	otherwise, overrides := c.defaultAction(), c.overrides()
	switch {
	case set == 0:
		c.enforcedTogether(path, r)
		return []action{{mode: policy.Enforce}}
	case set == 1:
		return []action{{mode: c.reporting(says)}}
	case len(overrides) == 0 && otherwise == enforceAction:
		return []action{{mode: policy.Enforce}}
	case len(overrides) == 0 && c.read.Spec.ValidationFailureAction != "":
		return []action{{mode: c.reporting(defaultActionPath)}}
	case len(overrides) == 0:
		return []action{{mode: c.reporting(path + ".verifyImages[0].failureAction")}} // where to say it
	}
	return c.byNamespace(overrides, otherwise)
}

// enforcedTogether notes entries that would only be audited on their own.
func (c *compiler) enforcedTogether(path string, r *rule) {
	for i := range r.VerifyImages {
		if e := &r.VerifyImages[i]; !strings.EqualFold(e.FailureAction, enforceAction) {
			c.Note(dialect.At(path+".verifyImages", i)+".failureAction", "enforced, as another entry of the rule is: Kyverno treats a rule's failures alike")
		}
	}
}

const (
	defaultActionPath = "spec.validationFailureAction"
	overridesPath     = "spec.validationFailureActionOverrides"
)

func (c *compiler) defaultAction() string {
	if c.choice(defaultActionPath, c.read.Spec.ValidationFailureAction, enforceAction, auditAction) == 0 {
		return enforceAction
	}
	return auditAction
}

// reporting is the mode of a rule that does not enforce, which path says.
func (c *compiler) reporting(path string) policy.Mode {
	mode, text := policy.Audit, "Audit, said or left to the default, admits what the rule refuses, and counts it"
	if c.read.Spec.EmitWarning {
		mode, text = policy.Warn, "Audit with emitWarning, said or left to the default, admits what the rule refuses, and tells its author"
	}
	if note := (policy.Note{Path: path, Text: text, Weakening: true}); !slices.Contains(c.Notes, note) {
		c.Weaker(path, "%s", text) // once for all rules that leave it to spec
	}
	return mode
}

// overridden are the namespaces of an override.
type overridden struct {
	action     string
	namespaces []string
}

const maxOverrides = 100

func (c *compiler) overrides() []overridden {
	const path = overridesPath
	list := c.read.Spec.ValidationFailureActionOverrides
	if len(list) > 0 && c.namespaced {
		c.Errorf(path, "expected none: a %s applies to its own namespace", namespacedKind)
	}
	if !c.AtMost(path, len(list), maxOverrides) {
		return nil
	}
	var found []overridden
	for i, o := range list {
		here := dialect.At(path, i)
		word := c.choice(here+".action", o.Action, enforceAction, auditAction)
		if o.Action == "" {
			c.Missing(here+".action", "expected %s or %s, got none", enforceAction, auditAction)
		}
		if len(o.Namespaces) == 0 {
			c.Missing(here+".namespaces", "expected at least one namespace, got none")
		}
		for j, name := range o.Namespaces {
			if len(name) > maxLabelName || !namespaceWild.MatchString(name) {
				c.Errorf(dialect.At(here+".namespaces", j), "expected the name of a namespace, or a pattern with '*' and '?', got %q", dialect.Clip(name))
			}
		}
		if word >= 0 {
			found = append(found, overridden{[]string{enforceAction, auditAction}[word], o.Namespaces})
		}
	}
	return found
}

// byNamespace makes an action of each mode that occurs. The first override that
// names a namespace decides; where a door carries no namespace, enforcing does.
func (c *compiler) byNamespace(overrides []overridden, otherwise string) []action {
	said := []string{otherwise}
	for _, o := range overrides {
		said = append(said, o.action)
	}
	modes := map[string]policy.Mode{enforceAction: policy.Enforce}
	switch {
	case slices.Contains(said[1:], auditAction):
		modes[auditAction] = c.reporting(overridesPath)
	case otherwise == auditAction:
		modes[auditAction] = c.reporting(defaultActionPath)
	}
	strictest := auditAction
	if slices.Contains(said, enforceAction) {
		strictest = enforceAction
	}
	var actions []action
	for _, word := range []string{enforceAction, auditAction} {
		if !slices.Contains(said, word) {
			continue
		}
		actions = append(actions, action{mode: modes[word], applies: func(n policy.Namespace) truth {
			switch n.State {
			case policy.NamespaceNotCarried:
				return truthOf(word == strictest)
			case policy.NamespaceKnown:
				return truthOf(actionIn(n, overrides, otherwise) == word)
			case policy.NamespaceUnknown:
			}
			return unknown
		}})
	}
	return actions
}

func actionIn(n policy.Namespace, overrides []overridden, otherwise string) string {
	for _, o := range overrides {
		if named(o.namespaces, n, no) == yes {
			return o.action
		}
	}
	return otherwise
}
