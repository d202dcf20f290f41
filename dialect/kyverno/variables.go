package kyverno

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/bonafide-dev/bonafide/attest/jmes"
	"github.com/bonafide-dev/bonafide/dialect"
)

// maxContext bounds a rule's context.
const maxContext = 100

// defaultNamespace is where Kyverno looks for the ConfigMap of a ClusterPolicy
// that names no namespace.
const defaultNamespace = "default"

// variables are what a rule's context holds, by name.
type variables map[string]any

// context resolves what a rule's context names.
func (c *compiler) context(path string, list []contextEntry) variables {
	if !c.AtMost(path, len(list), maxContext) {
		return nil
	}
	found := make(variables, len(list))
	for i := range list {
		here, e := dialect.At(path, i), &list[i]
		switch {
		case e.Name == "":
			c.Missing(here+".name", "expected a name, got none")
		case slices.Contains(jmes.Reserved(), e.Name):
			c.Errorf(here+".name", "expected another name: %q means something already", e.Name)
		}
		if _, twice := found[e.Name]; twice {
			c.Errorf(here+".name", "expected each name once, got %q again", dialect.Clip(e.Name))
		}
		if e.APICall.set || e.ImageRegistry.set || e.GlobalReference.set {
			found[e.Name] = nil // refused by name already
			continue
		}
		if !c.ExactlyOne(here, dialect.Given("configMap", e.ConfigMap != nil), dialect.Given("variable", e.Variable != nil)) {
			continue
		}
		if e.ConfigMap != nil {
			found[e.Name] = c.configMap(here+".configMap", e.ConfigMap)
			continue
		}
		found[e.Name] = c.variable(here+".variable.value", e.Variable.Value)
	}
	return found
}

func (c *compiler) variable(path string, value any) any {
	text, err := json.Marshal(value)
	switch {
	case err != nil || value == nil:
		c.Missing(path, "expected a value, got none")
	case strings.Contains(string(text), "{{"):
		c.refuse(path, "a variable that is made of others is not supported")
	}
	return value
}

// configMap returns a ConfigMap as variables see it. A namespaced policy
// reaches its own namespace only (TRUST R17).
func (c *compiler) configMap(path string, ref *configMapEntry) any {
	namespace := ref.Namespace
	switch {
	case c.namespaced && namespace != "" && namespace != c.Document.Namespace:
		c.Errorf(path+".namespace", "expected %q, the policy's own, or none: a %s reads nothing of another namespace; got %q", c.Document.Namespace, namespacedKind, dialect.Clip(namespace))
		return nil
	case c.namespaced:
		namespace = c.Document.Namespace
	case namespace == "":
		namespace = defaultNamespace
	}
	if c.variableName(path+".name", ref.Name) || c.variableName(path+".namespace", namespace) {
		return nil
	}
	object, found := c.object(path, "ConfigMap", namespace, ref.Name)
	if !found {
		return nil
	}
	data := make(map[string]any, len(object.Data))
	for name, value := range object.Data {
		data[name] = string(value)
	}
	return map[string]any{"data": data, "metadata": map[string]any{"name": object.Name, "namespace": object.Namespace}}
}

func (c *compiler) variableName(path, s string) bool {
	if !strings.Contains(s, "{{") {
		return false
	}
	c.refuse(path, "what is read when the policy is loaded has a name without variables")
	return true
}

// object returns a Secret or ConfigMap.
func (c *compiler) object(path, kind, namespace, name string) (dialect.Object, bool) {
	if name == "" {
		c.Missing(path+".name", "expected a name, got none")
		return dialect.Object{}, false
	}
	get := c.material.Secret
	if kind == "ConfigMap" {
		get = c.material.ConfigMap
	}
	object, err := get(namespace, name)
	switch {
	case errors.Is(err, dialect.ErrNoMaterial):
		c.Errorf(path, "expected %s %q among the objects that are read, got none", kind, dialect.Clip(namespace+"/"+name))
	case err != nil:
		c.Errorf(path, "expected %s %q to be readable: %w", kind, dialect.Clip(namespace+"/"+name), err)
	}
	return object, err == nil
}

// text returns a field with its variables replaced. Everything must be known
// when the policy is loaded. What a variable holds is data: it is not read for
// variables again.
func (c *compiler) text(path, s string, v variables) (string, bool) {
	if !strings.Contains(s, "{{") {
		return s, true
	}
	read, err := jmes.Variables(s)
	if err != nil {
		c.Errorf(path, "%w", err)
		return "", false
	}
	for _, names := range read {
		if len(names) > 0 && v[names[0]] == nil && slices.Contains(jmes.Reserved(), names[0]) {
			c.refuse(path, dialect.Clip(s)+" depends on the request, and this must be known when the policy is loaded")
			return "", false
		}
	}
	replaced, err := jmes.Substitute(s, v, time.Time{})
	if err != nil {
		c.Errorf(path, "%w", err)
		return "", false
	}
	text, is := replaced.(string)
	if !is {
		c.Errorf(path, "expected %s to be a string, got another value", dialect.Clip(s))
	}
	return text, is
}
