"""The messages of proto/sagequeue/v1/queue.proto. Written by scripts/build/python-messages.py: change that file, and run this."""

from typing import Any

from google.protobuf import descriptor_pool, message_factory

_FILE = (
    b'\n\x18sagequeue/v1/queue.proto\x12\x0csage'
    b'queue.v1"\xb0\x03\n\x0bClientFrame\x12&\n\x04open'
    b'\x18\x01 \x01(\x0b2\x12.sagequeue.v1.OpenR\x04open'
    b'\x12.\n\x07settles\x18\x02 \x03(\x0b2\x14.sagequeue.v1'
    b'.SettleR\x07settles\x12%\n\x04puts\x18\x03 \x03(\x0b2\x11'
    b'.sagequeue.v1.PutR\x04puts\x12.\n\x07cance'
    b'ls\x18\x04 \x03(\x0b2\x14.sagequeue.v1.CancelR\x07'
    b'cancels\x12%\n\x04gets\x18\x05 \x03(\x0b2\x11.sagequeu'
    b'e.v1.GetR\x04gets\x12-\n\x07queries\x18\x06 \x03(\x0b2'
    b'\x13.sagequeue.v1.QueryR\x07queries\x124\n'
    b'\tshutdowns\x18\x07 \x03(\x0b2\x16.sagequeue.v1.'
    b'ShutdownR\tshutdowns\x12\x14\n\x05close\x18\x08 \x01'
    b'(\x08R\x05close\x12\x1b\n\x06window\x18\t \x01(\rH\x00R\x06win'
    b'dow\x88\x01\x01\x12(\n\x05joins\x18\n \x03(\x0b2\x12.sagequeu'
    b'e.v1.JoinR\x05joinsB\t\n\x07_window"\x83\x03\n\x0b'
    b'ServerFrame\x12,\n\x06opened\x18\x01 \x01(\x0b2\x14.sa'
    b'gequeue.v1.OpenedR\x06opened\x126\n\nput'
    b'_result\x18\x02 \x01(\x0b2\x17.sagequeue.v1.Put'
    b'ResultR\tputResult\x126\n\ndeliveries\x18'
    b'\x03 \x03(\x0b2\x16.sagequeue.v1.DeliveryR\nd'
    b'eliveries\x12/\n\x07settled\x18\x04 \x01(\x0b2\x15.sag'
    b'equeue.v1.SettledR\x07settled\x12>\n\rqu'
    b'ery_results\x18\x05 \x03(\x0b2\x19.sagequeue.v1'
    b'.QueryResultR\x0cqueryResults\x121\n\x08fa'
    b'ilures\x18\x06 \x03(\x0b2\x15.sagequeue.v1.Fail'
    b'ureR\x08failures\x12\x1a\n\x08stopping\x18\x07 \x01(\x08R'
    b'\x08stopping\x12\x16\n\x06recall\x18\x08 \x01(\x08R\x06recal'
    b'l"a\n\x05Items\x12\x12\n\x04data\x18\x01 \x01(\x0cR\x04data\x12\x14'
    b'\n\x05count\x18\x02 \x01(\rR\x05count\x12\x18\n\x07lengths\x18'
    b'\x03 \x03(\rR\x07lengths\x12\x14\n\x05codec\x18\x04 \x03(\rR\x05c'
    b'odec"3\n\x05Range\x12\x14\n\x05first\x18\x01 \x01(\x04R\x05fi'
    b'rst\x12\x14\n\x05count\x18\x02 \x01(\x04R\x05count"\xfc\x02\n\x04Op'
    b'en\x12)\n\x10protocol_version\x18\x01 \x01(\rR\x0fpr'
    b'otocolVersion\x12\x19\n\x08queue_id\x18\x02 \x01(\tR'
    b'\x07queueId\x12\x1b\n\tclient_id\x18\x03 \x01(\x0cR\x08cli'
    b"entId\x12'\n\x0fserver_instance\x18\x04 \x01(\x0cR\x0e"
    b'serverInstance\x12\x1d\n\nknown_puts\x18\x05 \x01'
    b'(\x04R\tknownPuts\x127\n\x0copen_settles\x18\t '
    b'\x03(\x0b2\x14.sagequeue.v1.SettleR\x0bopenS'
    b'ettles\x12)\n\x05holds\x18\x0b \x03(\x0b2\x13.sagequeu'
    b'e.v1.RangeR\x05holds\x12\x1d\n\x07maxsize\x18\x07 \x01'
    b'(\rH\x00R\x07maxsize\x88\x01\x01\x12\x1c\n\texclusive\x18\x08 '
    b'\x01(\x08R\texclusive\x12\x16\n\x06stream\x18\n \x01(\x04R\x06'
    b'streamB\n\n\x08_maxsizeJ\x04\x08\x06\x10\x07"\xdf\x03\n\x06Ope'
    b'ned\x12)\n\x10protocol_version\x18\x01 \x01(\rR\x0fp'
    b"rotocolVersion\x12'\n\x0fserver_instanc"
    b'e\x18\x02 \x01(\x0cR\x0eserverInstance\x12\x1f\n\x0bremem'
    b'ber_ms\x18\x03 \x01(\rR\nrememberMs\x12\x1e\n\nreme'
    b"mbered\x18\x04 \x01(\x08R\nremembered\x12'\n\x0fappl"
    b'ied_through\x18\x05 \x01(\x04R\x0eappliedThroug'
    b'h\x124\n\x0bnot_applied\x18\x06 \x03(\x0b2\x13.sageque'
    b'ue.v1.RangeR\nnotApplied\x12\x18\n\x07settl'
    b'ed\x18\x07 \x03(\x04R\x07settled\x12!\n\x0cwindow_item'
    b's\x18\x08 \x01(\rR\x0bwindowItems\x12!\n\x0cwindow_b'
    b'ytes\x18\t \x01(\rR\x0bwindowBytes\x12$\n\x0emax_i'
    b'tem_bytes\x18\n \x01(\x04R\x0cmaxItemBytes\x12\x18\n'
    b'\x07maxsize\x18\x0b \x01(\x04R\x07maxsize\x12\x18\n\x07schem'
    b"as\x18\x0c \x03(\x0cR\x07schemas\x12'\n\x04held\x18\r \x03(\x0b2"
    b'\x13.sagequeue.v1.RangeR\x04held"\xb1\x01\n\x03P'
    b'ut\x12\x1a\n\x08sequence\x18\x01 \x01(\x04R\x08sequence\x12)'
    b'\n\x05items\x18\x02 \x01(\x0b2\x13.sagequeue.v1.Ite'
    b'msR\x05items\x12\x1c\n\x07wait_ms\x18\x03 \x01(\rH\x00R\x06wa'
    b'itMs\x88\x01\x01\x12\x14\n\x05group\x18\x04 \x01(\x04R\x05group\x12\x1d\n'
    b'\nknown_puts\x18\x05 \x01(\x04R\tknownPutsB\n\n\x08'
    b'_wait_msJ\x04\x08\x06\x10\x07"W\n\x06Cancel\x12\'\n\x04puts'
    b'\x18\x01 \x01(\x0b2\x13.sagequeue.v1.RangeR\x04put'
    b's\x12\x10\n\x03get\x18\x02 \x01(\x04R\x03get\x12\x12\n\x04join\x18\x03 \x01('
    b'\x04R\x04join"o\n\tPutResult\x12-\n\x07applied\x18'
    b'\x01 \x03(\x0b2\x13.sagequeue.v1.RangeR\x07appl'
    b'ied\x123\n\x08rejected\x18\x02 \x03(\x0b2\x17.sagequeu'
    b'e.v1.RejectionR\x08rejected"b\n\tReje'
    b"ction\x12'\n\x04puts\x18\x01 \x01(\x0b2\x13.sagequeue."
    b'v1.RangeR\x04puts\x12\x12\n\x04code\x18\x02 \x01(\tR\x04co'
    b'de\x12\x18\n\x07message\x18\x03 \x01(\tR\x07message"\x9d\x01\n'
    b'\x03Get\x12\x18\n\x07request\x18\x01 \x01(\x04R\x07request\x12\x10'
    b'\n\x03max\x18\x02 \x01(\rR\x03max\x12\x1c\n\x07wait_ms\x18\x03 \x01('
    b'\rH\x00R\x06waitMs\x88\x01\x01\x12\x14\n\x05count\x18\x04 \x01(\rR\x05c'
    b'ount\x12\x14\n\x05given\x18\x05 \x01(\x08R\x05given\x12\x14\n\x05ah'
    b'ead\x18\x06 \x01(\rR\x05aheadB\n\n\x08_wait_ms"\xc3\x01\n'
    b'\x08Delivery\x12\x18\n\x07request\x18\x01 \x01(\x04R\x07requ'
    b'est\x12\x10\n\x03tag\x18\x02 \x01(\x04R\x03tag\x12)\n\x05items\x18\x03'
    b' \x01(\x0b2\x13.sagequeue.v1.ItemsR\x05items'
    b'\x12\x1e\n\ndeliveries\x18\x04 \x03(\rR\ndeliveries'
    b'\x12\x12\n\x04more\x18\x05 \x01(\x08R\x04more\x12\x12\n\x04each\x18\x06 \x01'
    b'(\x08R\x04each\x12\x18\n\x07crashes\x18\x07 \x03(\rR\x07crash'
    b'es"\x9f\x01\n\x06Settle\x12\x16\n\x06settle\x18\x01 \x01(\x04R\x06s'
    b'ettle\x12\x10\n\x03tag\x18\x02 \x01(\x04R\x03tag\x12\x14\n\x05count'
    b'\x18\x03 \x01(\x04R\x05count\x12\x18\n\x07release\x18\x04 \x01(\x08R\x07'
    b'release\x12\x16\n\x06unseen\x18\x06 \x01(\x08R\x06unseen\x12'
    b'#\n\rknown_settles\x18\x05 \x01(\x04R\x0cknownSet'
    b'tles"1\n\x07Settled\x12\x12\n\x04done\x18\x01 \x03(\x04R\x04d'
    b'one\x12\x12\n\x04lost\x18\x02 \x03(\x04R\x04lost"!\n\x05Query'
    b'\x12\x18\n\x07request\x18\x01 \x01(\x04R\x07request"\xc1\x02\n\x0bQ'
    b'ueryResult\x12\x18\n\x07request\x18\x01 \x01(\x04R\x07req'
    b'uest\x12\x14\n\x05qsize\x18\x02 \x01(\x04R\x05qsize\x12\x18\n\x07ma'
    b'xsize\x18\x03 \x01(\x04R\x07maxsize\x12\x12\n\x04full\x18\x04 \x01'
    b'(\x08R\x04full\x12\x1b\n\tput_total\x18\x05 \x01(\x04R\x08put'
    b'Total\x12\x1b\n\tget_total\x18\x06 \x01(\x04R\x08getTot'
    b"al\x12'\n\x0fwaiting_getters\x18\x07 \x01(\x04R\x0ewai"
    b"tingGetters\x12'\n\x0fwaiting_putters\x18\x08"
    b' \x01(\x04R\x0ewaitingPutters\x12 \n\x0bredelive'
    b'red\x18\t \x01(\x04R\x0bredelivered\x12\x1b\n\x06leased'
    b'\x18\n \x01(\x04H\x00R\x06leased\x88\x01\x01B\t\n\x07_leased"J'
    b'\n\x04Join\x12\x18\n\x07request\x18\x01 \x01(\x04R\x07request'
    b'\x12\x1c\n\x07wait_ms\x18\x02 \x01(\rH\x00R\x06waitMs\x88\x01\x01B\n'
    b'\n\x08_wait_ms"B\n\x08Shutdown\x12\x18\n\x07reques'
    b't\x18\x01 \x01(\x04R\x07request\x12\x1c\n\timmediate\x18\x02 '
    b'\x01(\x08R\timmediate"Q\n\x07Failure\x12\x18\n\x07req'
    b'uest\x18\x01 \x01(\x04R\x07request\x12\x12\n\x04code\x18\x02 \x01('
    b'\tR\x04code\x12\x18\n\x07message\x18\x03 \x01(\tR\x07messag'
    b'e2R\n\x0cQueueService\x12B\n\x06Attach\x12\x19.sa'
    b'gequeue.v1.ClientFrame\x1a\x19.sageque'
    b'ue.v1.ServerFrame(\x010\x01b\x06proto3'
)

_pool = descriptor_pool.DescriptorPool()  # not the default one, which the program may have filled from the same file
_pool.AddSerializedFile(_FILE)


def _message(name: str) -> Any:
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"sagequeue.v1.{name}"))


Cancel = _message("Cancel")
ClientFrame = _message("ClientFrame")
Delivery = _message("Delivery")
Failure = _message("Failure")
Get = _message("Get")
Items = _message("Items")
Join = _message("Join")
Open = _message("Open")
Opened = _message("Opened")
Put = _message("Put")
PutResult = _message("PutResult")
Query = _message("Query")
QueryResult = _message("QueryResult")
Range = _message("Range")
Rejection = _message("Rejection")
ServerFrame = _message("ServerFrame")
Settle = _message("Settle")
Settled = _message("Settled")
Shutdown = _message("Shutdown")
