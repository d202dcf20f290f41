package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// VerificationPolicy says what must be proven, beyond what the cluster's
// policies ask, of images in its own namespace.
//
// It can only add (TRUST R17): whatever it says, an image that a cluster policy
// denies stays denied. Because its author may be trusted with one namespace
// only,
//
//   - its matcher MUST NOT name namespaces: it applies to its own;
//   - its material MUST be inline or in Secrets and ConfigMaps of its own
//     namespace: `file` and `kms` are refused;
//   - objectSelector needs no allowAuthorOptOut: whoever opts out of it falls
//     back to the cluster's policies.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=vp,categories=bonafide
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Matched",type=integer,JSONPath=`.status.matched`
// +kubebuilder:printcolumn:name="Denied",type=integer,JSONPath=`.status.denied`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="!self.spec.?match.?namespaces.hasValue() && !self.spec.?match.?namespaceSelector.hasValue()",message="a VerificationPolicy applies to its own namespace: match.namespaces and match.namespaceSelector are for a ClusterVerificationPolicy"
// +kubebuilder:validation:XValidation:rule="!has(self.spec.allowAuthorOptOut) || !self.spec.allowAuthorOptOut",message="a VerificationPolicy needs no allowAuthorOptOut: it may select by what the author writes"
// +kubebuilder:validation:XValidation:rule="self.spec.signers.all(s, !s.?sigstore.?key.?file.hasValue() && !s.?sigstore.?key.?kms.hasValue())",message="a VerificationPolicy takes its keys from pem, or from secretRef and configMapRef in its own namespace: file and kms are for a ClusterVerificationPolicy"
// +kubebuilder:validation:XValidation:rule="self.spec.signers.all(s, !s.?sigstore.?trustedRoot.?file.hasValue() && !s.?sigstore.?trustedRoot.?tuf.hasValue())",message="a VerificationPolicy takes its trusted root from json, builtin or parts, or from secretRef and configMapRef in its own namespace: file and tuf are for a ClusterVerificationPolicy"
// +kubebuilder:validation:XValidation:rule="self.spec.signers.all(s, !s.?sigstore.?repository.hasValue())",message="a VerificationPolicy names no signature repository: it would be asked with the credentials of whoever deploys"
// +kubebuilder:validation:XValidation:rule="self.spec.signers.all(s, !s.?notation.?plugins.hasValue())",message="a VerificationPolicy names no plugins: they are for a ClusterVerificationPolicy"
// +kubebuilder:validation:XValidation:rule="self.spec.signers.all(s, !has(s.notation) || s.notation.trustStores.all(t, !has(t.certificates.file)))",message="a VerificationPolicy takes its certificates from pem, or from secretRef and configMapRef in its own namespace: file is for a ClusterVerificationPolicy"
type VerificationPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	// Spec says what must be proven of which images. Required.
	Spec VerificationPolicySpec `json:"spec"`
	// Status says what the controller made of the object. Only the controller
	// writes it; a reader of files MUST ignore it.
	//
	// +optional
	Status VerificationPolicyStatus `json:"status,omitzero"`
}

// VerificationPolicyList is a list of VerificationPolicy.
//
// +kubebuilder:object:root=true
type VerificationPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []VerificationPolicy `json:"items"`
}
