"""`manage.py unlock NAME`: the way back in, from the machine itself."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError

from batchweb.accounts import events, throttling
from jobs.models import SecurityEvent


class Command(BaseCommand):
    help = "Lets somebody, or an address, try to sign in again at once; removes second factors that were lost."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", nargs="?", default="", help="the user name")
        parser.add_argument("--address", default="", help="an address from which too many tries came")
        parser.add_argument("--second-factor", action="store_true", help="remove the second factors of NAME")

    def handle(self, *args: Any, name: str, address: str, second_factor: bool, **options: Any) -> None:
        if not name and not address:
            raise CommandError("Give a user name, or --address with an address.")
        if address:
            throttling.forgive_address(address)
            events.note(SecurityEvent.Kind.UNLOCKED, "", address)
        if name:
            self.unlock(name, second_factor)
        self.stdout.write("Unlocked.")

    def unlock(self, name: str, second_factor: bool) -> None:
        person = User.objects.filter(username=name).first()
        if person is None:
            raise CommandError(f"There is nobody called “{name}” here.")
        throttling.forgive(name)
        events.note(SecurityEvent.Kind.UNLOCKED, name, person=person)
        for factor in Authenticator.objects.filter(user=person) if second_factor else ():
            factor.delete()
