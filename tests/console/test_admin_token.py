"""Tokens of the admin port."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.console.admin_token import TOKENS_MAX, TokenError, parse_tokens

ONE = "0123456789abcdefghij"
TWO = "a.b_c~d+e/f-0123456789=="


class TokenTests(SynchronousTestCase):
    def test_accepted(self) -> None:
        """A file may have several tokens, so that scrapers can be given a new one, one after another."""
        tokens = parse_tokens(f"# made in November\n\n  {ONE}  \n{TWO}\n")
        for header in (f"Bearer {ONE}", f"bearer {TWO}", f"BEARER  {ONE} "):
            self.assertTrue(tokens.accept(header.encode()), header)

    def test_not_accepted(self) -> None:
        """No beginning of a token, no longer one, no other scheme, and nothing at all opens the port."""
        tokens = parse_tokens(f"{ONE}\n{TWO}\n")
        wrong = ("", "Bearer", "Bearer ", ONE, f"Basic {ONE}", f"Bearer {ONE[:-1]}", f"Bearer {ONE}0")
        for header in (*wrong, f"Bearer {ONE} {TWO}", f"Bearer {ONE.upper()}", f"Bearer\t{ONE}", "Bearer \xe9"):
            self.assertFalse(tokens.accept(header.encode()), header)
        self.assertFalse(tokens.accept(None))

    def test_refused_files(self) -> None:
        """A file that would leave the port open, or shut, says what is wrong with it, and not what is in it."""
        for text, reason in (
            ("", "there is no token in it"),
            ("# nothing\n\n", "there is no token in it"),
            ("short\n", "the token in line 1 has fewer than 20 characters"),
            (f"{ONE}\n{ONE} {ONE}\n", "line 2 is no token: use letters, digits and . _ ~ + / - only"),
            (f"{ONE}\xe9\n", "line 1 is no token: use letters, digits and . _ ~ + / - only"),
            (f"{ONE}\n" * (TOKENS_MAX + 1), f"there are more than {TOKENS_MAX} tokens in it"),
        ):
            self.assertEqual(str(self.assertRaises(TokenError, parse_tokens, text)), reason)

    def test_nothing_is_kept(self) -> None:
        """What a traceback or a memory dump shows of the port's keeper is no token."""
        tokens = parse_tokens(ONE)
        self.assertNotIn(ONE, repr(vars(tokens)))
