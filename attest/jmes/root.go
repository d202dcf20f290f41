package jmes

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// Reserved returns the names at the root that neither a statement nor a policy's
// context can take: what is asked is not for the answer to say. Kyverno lets a
// predicate replace them. A statement's own members of such a name are found
// below `element`.
func Reserved() []string {
	return []string{"element", "image", "images", "request", "serviceAccountName", "serviceAccountNamespace", "target"}
}

// ofRequest are the paths below request that exist here. The object and its old
// state are not among them: what a Pod's author writes satisfies no condition.
func ofRequest() []string {
	return []string{"request.kind.kind", "request.namespace", "request.operation", "request.userInfo.username"}
}

// refuse returns why a variable of this path can never resolve.
func (c *condition) refuse(p path) error {
	if len(p) == 0 {
		return nil
	}
	if _, known := c.context[p[0]]; known {
		return nil
	}
	switch p[0] {
	case "images", "target":
		return fmt.Errorf("variable %q is refused: conditions see one image, as `image`; a statement's own %q is `element.%s`", p, p[0], p[0])
	case "request":
		prefix := p.String()
		if !slices.ContainsFunc(ofRequest(), func(known string) bool { return known == prefix || strings.HasPrefix(known, prefix+".") }) {
			return fmt.Errorf("variable %q is refused: of the request conditions see %s", clip(prefix, maxShown), strings.Join(ofRequest(), ", "))
		}
	}
	return nil
}

// root builds what variables are resolved against.
func (c *condition) root(in policy.ConditionInput) (map[string]any, error) {
	predicate, err := predicateOf(in.Statement)
	if err != nil {
		return nil, err
	}
	root := make(map[string]any, len(predicate)+len(c.context)+len(Reserved()))
	maps.Copy(root, predicate)
	for _, name := range Reserved() {
		if name != "element" {
			delete(root, name)
		}
	}
	// A document that has an element of its own means that one, as where the name
	// comes from.
	if _, has := predicate["element"]; !has {
		root["element"] = predicate
	}
	root["image"] = imageOf(in.Image, in.Digest)
	root["request"] = requestOf(in.Request)
	if namespace, name, is := serviceAccount(in.Request.User); is {
		root["serviceAccountNamespace"], root["serviceAccountName"] = namespace, name
	}
	maps.Copy(root, c.context)
	return root, nil
}

// customTypes are the predicate types of `cosign attest --type custom`, whose
// predicate carries the author's document as a string.
func customTypes() []string {
	return []string{"https://cosign.sigstore.dev/attestation/v1", "cosign.sigstore.dev/attestation/v1"}
}

// predicateOf returns what the statement says, which must be an object.
func predicateOf(s *policy.Statement) (map[string]any, error) {
	if s == nil {
		return nil, &evidence.Problem{Reason: evidence.ConditionFailed, Expected: "a statement to look at", Got: "none"}
	}
	value, err := s.Predicate()
	if err != nil {
		return nil, err
	}
	object, is := value.(map[string]any)
	if data, has := object["Data"].(string); has && slices.Contains(customTypes(), s.Type) {
		if err := evidence.DecodeJSON([]byte(data), &value); err != nil {
			return nil, &evidence.Problem{Reason: evidence.MalformedEvidence, Expected: "JSON as the Data of a predicate of type " + s.Type, Got: "other text", Err: err}
		}
		object, is = value.(map[string]any)
	}
	if !is {
		return nil, &evidence.Problem{Reason: evidence.MalformedEvidence, Expected: "an object as what a statement says, for conditions to look at", Got: typeOf(value)}
	}
	return object, nil
}

// requestOf leaves out what the door does not know, so that it is missing rather
// than empty.
func requestOf(r policy.Request) map[string]any {
	request := map[string]any{}
	if r.Namespace.State == policy.NamespaceKnown && r.Namespace.Name != "" {
		request["namespace"] = r.Namespace.Name
	}
	if r.Operation != "" {
		request["operation"] = r.Operation
	}
	if r.User != "" {
		request["userInfo"] = map[string]any{"username": r.User}
	}
	if r.Kind != "" {
		request["kind"] = map[string]any{"kind": r.Kind}
	}
	return request
}

// serviceAccount reads the user name of a service account.
func serviceAccount(user string) (namespace, name string, is bool) {
	rest, is := strings.CutPrefix(user, "system:serviceaccount:")
	if !is {
		return "", "", false
	}
	namespace, name, is = strings.Cut(rest, ":")
	return namespace, name, is && namespace != "" && name != ""
}
