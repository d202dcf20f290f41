package kyverno

import (
	"bytes"
	"encoding/json"
	"errors"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The types mirror kyverno.io/v1 as far as policies that verify images go. What
// each field means here is in fields.go; a test compares the two.

type policyDocument struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   metadata `json:"metadata"`
	Spec       spec     `json:"spec"`
	Status     ignored  `json:"status"`
}

type spec struct {
	Rules                            []rule                `json:"rules"`
	ValidationFailureAction          string                `json:"validationFailureAction"`
	ValidationFailureActionOverrides []override            `json:"validationFailureActionOverrides"`
	FailurePolicy                    string                `json:"failurePolicy"`
	WebhookTimeoutSeconds            noted                 `json:"webhookTimeoutSeconds"`
	WebhookConfiguration             *webhookConfiguration `json:"webhookConfiguration"`
	EmitWarning                      bool                  `json:"emitWarning"`
	ApplyRules                       string                `json:"applyRules"`
	Admission                        *bool                 `json:"admission"`
	Background                       noted                 `json:"background"`
	SchemaValidation                 ignored               `json:"schemaValidation"`
	MutateExistingOnPolicyUpdate     refused               `json:"mutateExistingOnPolicyUpdate"`
	GenerateExisting                 refused               `json:"generateExisting"`
	GenerateExistingOnPolicyUpdate   refused               `json:"generateExistingOnPolicyUpdate"`
	UseServerSideApply               ignored               `json:"useServerSideApply"`
}

type override struct {
	Action            string   `json:"action"`
	Namespaces        []string `json:"namespaces"`
	NamespaceSelector refused  `json:"namespaceSelector"`
}

type webhookConfiguration struct {
	FailurePolicy   string  `json:"failurePolicy"`
	TimeoutSeconds  noted   `json:"timeoutSeconds"`
	MatchConditions refused `json:"matchConditions"`
}

type rule struct {
	Name                   string          `json:"name"`
	Context                []contextEntry  `json:"context"`
	Match                  *matchResources `json:"match"`
	Exclude                *matchResources `json:"exclude"`
	VerifyImages           []entry         `json:"verifyImages"`
	Preconditions          refused         `json:"preconditions"`
	CELPreconditions       refused         `json:"celPreconditions"`
	ImageExtractors        refused         `json:"imageExtractors"`
	Validate               refused         `json:"validate"`
	Mutate                 refused         `json:"mutate"`
	Generate               refused         `json:"generate"`
	ReportProperties       noted           `json:"reportProperties"`
	SkipBackgroundRequests ignored         `json:"skipBackgroundRequests"`
}

type contextEntry struct {
	Name            string           `json:"name"`
	ConfigMap       *configMapEntry  `json:"configMap"`
	Variable        *contextVariable `json:"variable"`
	APICall         refused          `json:"apiCall"`
	ImageRegistry   refused          `json:"imageRegistry"`
	GlobalReference refused          `json:"globalReference"`
}

type configMapEntry struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

type contextVariable struct {
	Value    any     `json:"value"`
	JMESPath refused `json:"jmesPath"`
	Default  refused `json:"default"`
}

type matchResources struct {
	Any          []resourceFilter `json:"any"`
	All          []resourceFilter `json:"all"`
	Resources    *resources       `json:"resources"`
	Subjects     refused          `json:"subjects"`
	Roles        refused          `json:"roles"`
	ClusterRoles refused          `json:"clusterRoles"`
}

type resourceFilter struct {
	Resources    *resources `json:"resources"`
	Subjects     refused    `json:"subjects"`
	Roles        refused    `json:"roles"`
	ClusterRoles refused    `json:"clusterRoles"`
}

type resources struct {
	Kinds             []string              `json:"kinds"`
	Namespaces        []string              `json:"namespaces"`
	NameSpaces        []string              `json:"nameSpaces"`
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector"`
	Selector          *metav1.LabelSelector `json:"selector"`
	Operations        []string              `json:"operations"`
	Name              refused               `json:"name"`
	Names             refused               `json:"names"`
	Annotations       refused               `json:"annotations"`
}

// entry is an element of verifyImages.
type entry struct {
	Type                     string            `json:"type"`
	ImageReferences          []string          `json:"imageReferences"`
	SkipImageReferences      []string          `json:"skipImageReferences"`
	FailureAction            string            `json:"failureAction"`
	Attestors                []attestorSet     `json:"attestors"`
	Attestations             []attestation     `json:"attestations"`
	MutateDigest             *bool             `json:"mutateDigest"`
	VerifyDigest             *bool             `json:"verifyDigest"`
	Required                 *bool             `json:"required"`
	UseCache                 *bool             `json:"useCache"`
	ImageRegistryCredentials *credentials      `json:"imageRegistryCredentials"`
	Validate                 refused           `json:"validate"`
	Repository               string            `json:"repository"`
	CosignOCI11              ignored           `json:"cosignOCI11"`
	Image                    string            `json:"image"`
	Key                      string            `json:"key"`
	Annotations              map[string]string `json:"annotations"`
	Issuer                   string            `json:"issuer"`
	Subject                  string            `json:"subject"`
	Roots                    string            `json:"roots"`
	AdditionalExtensions     map[string]string `json:"additionalExtensions"`
}

type credentials struct {
	AllowInsecureRegistry bool     `json:"allowInsecureRegistry"`
	Secrets               []string `json:"secrets"`
	Providers             noted    `json:"providers"`
	Helpers               noted    `json:"helpers"`
}

type attestorSet struct {
	Count   *int       `json:"count"`
	Entries []attestor `json:"entries"`
}

type attestor struct {
	Keys               *keys             `json:"keys"`
	Certificates       *certificates     `json:"certificates"`
	Keyless            *keyless          `json:"keyless"`
	Attestor           *attestorSet      `json:"attestor"`
	Annotations        map[string]string `json:"annotations"`
	SignatureAlgorithm string            `json:"signatureAlgorithm"`
	Repository         string            `json:"repository"`
}

type keys struct {
	PublicKeys         string     `json:"publicKeys"`
	Secret             *secretRef `json:"secret"`
	KMS                string     `json:"kms"`
	SignatureAlgorithm string     `json:"signatureAlgorithm"`
	Rekor              *rekor     `json:"rekor"`
	CTLog              *ctlog     `json:"ctlog"`
}

type secretRef struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

type rekor struct {
	URL        string `json:"url"`
	PubKey     string `json:"pubkey"`
	IgnoreTlog bool   `json:"ignoreTlog"`
}

type ctlog struct {
	IgnoreSCT    bool   `json:"ignoreSCT"`
	PubKey       string `json:"pubkey"`
	TSACertChain string `json:"tsaCertChain"`
}

type certificates struct {
	Cert      string `json:"cert"`
	CertChain string `json:"certChain"`
	Rekor     *rekor `json:"rekor"`
	CTLog     *ctlog `json:"ctlog"`
}

type keyless struct {
	Issuer               string            `json:"issuer"`
	IssuerRegExp         string            `json:"issuerRegExp"`
	Subject              string            `json:"subject"`
	SubjectRegExp        string            `json:"subjectRegExp"`
	Roots                string            `json:"roots"`
	Rekor                *rekor            `json:"rekor"`
	CTLog                *ctlog            `json:"ctlog"`
	AdditionalExtensions map[string]string `json:"additionalExtensions"`
}

type attestation struct {
	Name          string           `json:"name"`
	Type          string           `json:"type"`
	PredicateType string           `json:"predicateType"`
	Attestors     []attestorSet    `json:"attestors"`
	Conditions    []conditionBlock `json:"conditions"`
}

type conditionBlock struct {
	Any []conditionTest `json:"any"`
	All []conditionTest `json:"all"`
}

type conditionTest struct {
	Key      any    `json:"key"`
	Operator string `json:"operator"`
	Value    any    `json:"value"`
	Message  string `json:"message"`
}

// metadata is Kubernetes' ObjectMeta; name and namespace are the document's.
type metadata struct {
	Annotations                annotations `json:"annotations"`
	Name                       ignored     `json:"name"`
	GenerateName               ignored     `json:"generateName"`
	Namespace                  ignored     `json:"namespace"`
	Labels                     ignored     `json:"labels"`
	SelfLink                   ignored     `json:"selfLink"`
	UID                        ignored     `json:"uid"`
	ResourceVersion            ignored     `json:"resourceVersion"`
	Generation                 ignored     `json:"generation"`
	CreationTimestamp          ignored     `json:"creationTimestamp"`
	DeletionTimestamp          ignored     `json:"deletionTimestamp"`
	DeletionGracePeriodSeconds ignored     `json:"deletionGracePeriodSeconds"`
	OwnerReferences            ignored     `json:"ownerReferences"`
	Finalizers                 ignored     `json:"finalizers"`
	ManagedFields              ignored     `json:"managedFields"`
	ClusterName                ignored     `json:"clusterName"` // before Kubernetes 1.24
}

// annotations may be null, as in what clients write.
type annotations map[string]string

// UnmarshalJSON implements [json.Unmarshaler].
func (a *annotations) UnmarshalJSON(raw []byte) error {
	if err := json.Unmarshal(raw, (*map[string]string)(a)); err != nil {
		return errors.New("expected an object of strings")
	}
	return nil
}

// refused is a field that is refused by name if it says anything.
type refused struct{ set bool }

// UnmarshalJSON implements [json.Unmarshaler].
func (r *refused) UnmarshalJSON(raw []byte) error {
	r.set = says(raw)
	return nil
}

// noted is a field that becomes a Note if it says anything.
type noted struct{ set bool }

// UnmarshalJSON implements [json.Unmarshaler].
func (n *noted) UnmarshalJSON(raw []byte) error {
	n.set = says(raw)
	return nil
}

// ignored is a field that changes nothing here, whatever it says.
type ignored struct{}

// UnmarshalJSON implements [json.Unmarshaler].
func (*ignored) UnmarshalJSON([]byte) error { return nil }

// says reports whether a value is other than what leaving it out means.
func says(raw []byte) bool {
	switch string(bytes.TrimSpace(raw)) {
	case "null", "false", `""`, "{}", "[]":
		return false
	}
	return true
}
