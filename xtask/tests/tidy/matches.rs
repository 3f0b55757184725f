// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds in a source file where an enum is not matched kind by kind: by a wildcard arm, or by an `if let`, a
//! `let … else` or a `matches!` that says nothing of the other kinds. Whoever adds a kind must be asked for each place.

use proc_macro2::{Span, TokenStream, TokenTree};
use std::collections::BTreeMap;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{
    Expr, ExprLet, ExprMatch, ItemImpl, ItemMod, ItemUse, Local, Macro, Pat, Path, Token, Type, UseTree,
};

/// The enums to which kinds are added: what a case can do, what is known of it, what the guest can be asked, and the ways in
/// which an error is made.
pub(crate) const ENUMS: [&str; 24] = [
    "Operation",
    "FileOperation",
    "MountOperation",
    "SystemOperation",
    "VictimOperation",
    "OperationDocument",
    "Writes",
    "Effect",
    "NewSize",
    "SizeChange",
    "DataAccess",
    "AnyCall",
    "GuestCall",
    "ChangeCall",
    "FactsCall",
    "FileCall",
    "KernelFileCall",
    "MountCall",
    "ObserveCall",
    "VictimCall",
    "FileChange",
    "MountChange",
    "Order",
    "Mechanism",
];

/// Where an enum may be matched otherwise, and why.
pub(crate) const EXCEPTIONS: [(&str, &str); 1] = [
    // The conditions of the rules: a row is for those that it names, and the row that is for all others comes last. A
    // mechanism for which no row is right shows where the suite runs: the oracle predicts of each error what comes of it.
    ("harness/verdict/src/oracle/rules.rs", "Mechanism"),
];

/// The lines, counted from 1, at which one of the enums is not matched kind by kind, each with what is wrong. What stands in a
/// module of tests is passed over. Fails where the file is no Rust.
pub(crate) fn faults(source: &str) -> syn::Result<Vec<(usize, String)>> {
    let mut search = Search::default();
    search.visit_file(&syn::parse_file(source)?);
    // What stands in a macro's brackets may be met twice: as a part of what is around it, and by itself.
    search.found.sort_unstable();
    search.found.dedup();
    Ok(search.found)
}

/// The enums that a source file declares, also in the brackets of a macro. Fails where the file is no Rust.
pub(crate) fn declared(source: &str) -> syn::Result<Vec<String>> {
    let mut names = Vec::new();
    each_place(source.parse()?, &mut |rest| {
        let mut rest = rest.iter();
        if let (Some(TokenTree::Ident(word)), Some(TokenTree::Ident(name))) = (rest.next(), rest.next())
            && word == "enum"
        {
            names.push(name.to_string());
        }
    });
    Ok(names)
}

/// Shows what is left of the tokens at each place, also in brackets.
fn each_place(tokens: TokenStream, look: &mut impl FnMut(&[TokenTree])) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        look(&tokens[at..]);
        if let TokenTree::Group(group) = token {
            each_place(group.stream(), look);
        }
    }
}

#[derive(Default)]
struct Search {
    found: Vec<(usize, String)>,
    /// Which of the enums `Self` is here.
    itself: Option<&'static str>,
}

impl Search {
    fn fault(&mut self, at: Span, what: String) {
        self.found.push((at.start().line, what));
    }

    /// The enum of which a path names a kind.
    fn enum_of(&self, path: &Path) -> Option<&'static str> {
        let mut segments = path.segments.iter().rev();
        let (kind, of) = (segments.next()?, segments.next()?);
        let is_kind = kind
            .ident
            .to_string()
            .starts_with(|letter: char| letter.is_ascii_uppercase());
        match of.ident.to_string().as_str() {
            "Self" => self.itself,
            of => ENUMS.into_iter().find(|name| *name == of),
        }
        .filter(|_| is_kind)
    }

    /// An enum of which a kind is named somewhere in a pattern.
    fn named_in(&self, pattern: &Pat) -> Option<&'static str> {
        struct Named<'a>(&'a Search, Option<&'static str>);
        impl<'ast> Visit<'ast> for Named<'_> {
            fn visit_path(&mut self, path: &'ast Path) {
                self.1 = self.1.or_else(|| self.0.enum_of(path));
            }
        }
        let mut named = Named(self, None);
        named.visit_pat(pattern);
        named.1
    }

    /// The patterns of one place of a value, arm by arm: one that takes whatever is left must not stand beside one that names a
    /// kind there or further in.
    fn place(&mut self, patterns: &[&Pat]) {
        let patterns: Vec<&Pat> = patterns
            .iter()
            .flat_map(|pattern| alternatives(pattern))
            .collect();
        if let Some(name) = patterns.iter().find_map(|pattern| self.named_in(pattern)) {
            for pattern in patterns.iter().filter(|pattern| takes_whatever_is_left(pattern)) {
                self.fault(pattern.span(), format!("an arm for all other kinds of {name}"));
            }
        }
        let mut further_in: BTreeMap<(String, String), Vec<&Pat>> = BTreeMap::new();
        for pattern in patterns {
            let (of, parts) = parts(pattern);
            for (part, pattern) in parts {
                further_in.entry((of.clone(), part)).or_default().push(pattern);
            }
        }
        for patterns in further_in.values() {
            self.place(patterns);
        }
    }

    fn some_kinds_only(&mut self, pattern: &Pat, at: Span, of: &str) {
        if let Some(name) = self.named_in(pattern) {
            self.fault(at, format!("a `{of}` that is for some kinds of {name} only"));
        }
    }

    fn imported(&mut self, tree: &UseTree, at: Span) {
        match tree {
            UseTree::Path(path) => {
                if let Some(name) = ENUMS.into_iter().find(|name| path.ident == name) {
                    self.fault(at, format!("kinds of {name} are called by half their names"));
                }
                self.imported(&path.tree, at);
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.imported(tree, at)),
            UseTree::Name(_) | UseTree::Rename(_) | UseTree::Glob(_) => {}
        }
    }
}

impl<'ast> Visit<'ast> for Search {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        let is_of_tests = |attribute: &syn::Attribute| {
            attribute.path().is_ident("cfg")
                && attribute
                    .parse_args::<Path>()
                    .is_ok_and(|path| path.is_ident("test"))
        };
        if !module.attrs.iter().any(is_of_tests) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_impl(&mut self, implementation: &'ast ItemImpl) {
        let name = match &*implementation.self_ty {
            Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()),
            _ => None,
        };
        let around = self.itself;
        self.itself = name.and_then(|name| ENUMS.into_iter().find(|one| *one == name));
        visit::visit_item_impl(self, implementation);
        self.itself = around;
    }

    fn visit_item_use(&mut self, import: &'ast ItemUse) {
        self.imported(&import.tree, import.span());
    }

    fn visit_expr_match(&mut self, expression: &'ast ExprMatch) {
        let patterns: Vec<&Pat> = expression.arms.iter().map(|arm| &arm.pat).collect();
        self.place(&patterns);
        visit::visit_expr_match(self, expression);
    }

    fn visit_expr_let(&mut self, expression: &'ast ExprLet) {
        self.some_kinds_only(&expression.pat, expression.span(), "let");
        visit::visit_expr_let(self, expression);
    }

    fn visit_local(&mut self, local: &'ast Local) {
        self.some_kinds_only(&local.pat, local.span(), "let");
        visit::visit_local(self, local);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        if call.path.is_ident("matches")
            && let Ok(asked) = call.parse_body::<Matches>()
        {
            self.some_kinds_only(&asked.pattern, call.span(), "matches!");
        }
        // What stands in a macro's brackets is whatever the macro takes; where it has a word that begins one of these, it is read as
        // one.
        each_place(call.tokens.clone(), &mut |rest| {
            let tokens = || rest.iter().cloned().collect::<TokenStream>();
            match rest.first() {
                Some(TokenTree::Ident(word)) if word == "match" => {
                    if let Ok(expression) = begins_with::<ExprMatch>.parse2(tokens()) {
                        self.visit_expr_match(&expression);
                    }
                }
                Some(TokenTree::Ident(word)) if word == "let" => {
                    if let Ok(Let(pattern)) = begins_with::<Let>.parse2(tokens()) {
                        self.some_kinds_only(&pattern, word.span(), "let");
                    }
                }
                Some(TokenTree::Ident(word)) if word == "matches" => {
                    if let Ok(inner) = begins_with::<Macro>.parse2(tokens()) {
                        self.visit_macro(&inner);
                    }
                }
                _ => {}
            }
        });
    }
}

/// What `matches!` is given.
struct Matches {
    pattern: Pat,
}

impl Parse for Matches {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        input.parse::<Expr>()?;
        input.parse::<Token![,]>()?;
        let pattern = Pat::parse_multi_with_leading_vert(input)?;
        input.parse::<TokenStream>()?;
        Ok(Self { pattern })
    }
}

/// `let` and what it binds.
struct Let(Pat);

impl Parse for Let {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        input.parse::<Token![let]>()?;
        Pat::parse_multi_with_leading_vert(input).map(Self)
    }
}

/// The beginning of what there is, whatever comes behind it.
fn begins_with<T: Parse>(input: ParseStream<'_>) -> syn::Result<T> {
    let beginning = input.parse()?;
    input.parse::<TokenStream>()?;
    Ok(beginning)
}

/// A pattern without what stands around it, each alternative by itself.
fn alternatives(pattern: &Pat) -> Vec<&Pat> {
    match pattern {
        Pat::Or(or) => or.cases.iter().flat_map(alternatives).collect(),
        Pat::Paren(inner) => alternatives(&inner.pat),
        Pat::Reference(inner) => alternatives(&inner.pat),
        Pat::Ident(name) => match &name.subpat {
            Some((_, inner)) => alternatives(inner),
            None => vec![pattern],
        },
        _ => vec![pattern],
    }
}

fn takes_whatever_is_left(pattern: &Pat) -> bool {
    match pattern {
        Pat::Wild(_) => true,
        // A name that begins with a capital is a constant or a kind without its enum.
        Pat::Ident(name) => !name
            .ident
            .to_string()
            .starts_with(|letter: char| letter.is_ascii_uppercase()),
        _ => false,
    }
}

/// What a pattern is made of: of which kind, by the last two words of its path, and each of its parts by name.
fn parts(pattern: &Pat) -> (String, Vec<(String, &Pat)>) {
    let kind = |path: &Path| {
        let words: Vec<String> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        words[words.len().saturating_sub(2)..].join("::")
    };
    match pattern {
        Pat::Tuple(tuple) => (String::new(), numbered(&tuple.elems)),
        Pat::Slice(slice) => (String::new(), numbered(&slice.elems)),
        Pat::TupleStruct(tuple) => (kind(&tuple.path), numbered(&tuple.elems)),
        Pat::Struct(fields) => {
            let named = |field: &'_ syn::FieldPat| match &field.member {
                syn::Member::Named(name) => name.to_string(),
                syn::Member::Unnamed(at) => at.index.to_string(),
            };
            let parts = fields.fields.iter().map(|field| (named(field), &*field.pat));
            (kind(&fields.path), parts.collect())
        }
        _ => (String::new(), Vec::new()),
    }
}

/// The parts of a tuple, by their places.
fn numbered(elements: &Punctuated<Pat, Token![,]>) -> Vec<(String, &Pat)> {
    elements
        .iter()
        .enumerate()
        .map(|(at, part)| (at.to_string(), part))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::faults;

    fn lines(source: &str) -> Vec<usize> {
        faults(source)
            .unwrap()
            .into_iter()
            .map(|(line, _)| line)
            .collect()
    }

    #[test]
    fn an_arm_for_whatever_is_left_is_found() {
        let source = r#"
fn f(operation: &Operation, other: Other) {
    match other {
        Other::A => "match Operation::File(_) { _ => 1 }",
        _ => "",
    }
    match operation {
        Operation::File(FileOperation::Read(read)) if read.direct => { 1 }
        Operation::File(_) => 2,
        Operation::Mount(model::MountOperation::Mount(_)) => 3,
        Operation::Mount(_) => 4,
        // An arm `_ => 0` is none here.
        Operation::System(_)
        | Operation::Victim(_) => 5,
    }
    match action {
        Action::Operation(Operation::File(_) | Operation::Mount(_)) => 1,
        Action::Operation(Operation::System(_)) | Action::Fork(_) => 2,
    }
    let far = match (operation, other) {
        (Operation::File(_), Other::A) => 1,
        (_, Other::A) => 2,
        (other, _) => 3,
    };
    match action {
        Some(Action::Operation(call::Operation::File(_))) => 1,
        Some(Action::Fork(_)) => 2,
        Some(_) => 3,
        None => 4,
    }
}
"#;
        // In the first two the kinds of the inner enum are left, in the next two those of the outer.
        assert_eq!(lines(source), [9, 11, 22, 23, 28]);
    }

    #[test]
    fn declared_enums_are_known_by_their_names() {
        let source = "calls! { enum FileCall; }\n// enum None\nenum Order<'a> { A }\npub enum Effect {}";
        assert_eq!(super::declared(source).unwrap(), ["FileCall", "Order", "Effect"]);
    }

    #[test]
    fn what_is_for_some_kinds_only_is_found() {
        let source = "
use crate::model::Operation::{File, Mount};
use crate::model::{Operation, Order};
impl<'a> Order {
    fn f(&self) -> bool {
        let unmaps = matches!(self, Self::Unmap { .. });
        if let Some(Self::Unpin) = other {
            return Order::Unpin == *self;
        }
        let Order::Fork { name } = self else {
            return false;
        };
        let order = Order::Unpin;
        match self {
            Self::Unpin => true,
            rest => false,
        }
    }
}
impl Other {
    fn f(&self) -> bool {
        let FileOrder::A(order) = order;
        match self {
            Self::Unpin => true,
            _ => false,
        }
    }
}
#[cfg(test)]
mod tests {
    fn f() {
        let Order::Fork { name } = order else {};
    }
}
";
        assert_eq!(lines(source), [2, 6, 7, 10, 16]);
    }

    #[test]
    fn what_stands_in_the_brackets_of_a_macro_is_found() {
        let source = "
rules! {
    [Any] |order| matches!(order, Order::Unpin) => match order {
        Order::Unpin => true,
        _ => false,
    };
}
fn f() {
    assert!(if let Order::Unpin = order { true } else { false });
    tokio::select! { _ = match order { Order::Unpin => a, Order::Fork(_) => b } => {} }
}
";
        assert_eq!(lines(source), [3, 5, 9]);
    }

    #[test]
    fn what_is_no_rust_is_no_clean_file() {
        assert!(faults("fn f( {").is_err());
    }
}
