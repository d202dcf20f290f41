// Package jmes is the condition language of Kyverno's policies: tests with
// JMESPath variables in `{{ }}`, combined by any and all, over what a signed
// statement says. [Compile] turns them into a [policy.Condition].
//
// Its duty is to keep the documented meaning of those conditions and to fail
// closed where theirs is loose (TRUST R32, R48):
//
//   - What cannot be compared does not hold, nor does its negation: a null key,
//     a list with a null in it, a value of another type.
//   - A list of keys in which nothing was found does not hold. The sample
//     `{{ element.components[].licenses[].expression }}` AllNotIn [GPL-3.0]
//     looks satisfied for an inventory without a single component, or without a
//     single license; here it says that nothing was found. It still cannot see
//     the components that carry no license among others that do: a policy that
//     needs that asks for their number.
//   - A wildcard counts where the policy, or a ConfigMap that it names, wrote it.
//     One that comes out of a signed document and would change the result is an
//     error.
//   - What variables resolve to is data: it is not searched for variables again,
//     and inside another variable it may not change how that one is read.
//
// Everything is compiled when the policy is read. Evaluation is deterministic:
// names are visited in order, the time is the decision's, random does not exist,
// and nothing is looked up in a network. It is bounded in steps and in bytes,
// whatever policy and document hold, and ends when its context does.
package jmes
