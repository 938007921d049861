/** Flow control of one handle's puts: how much may be sent ahead of the server's answers. */
export class PutWindow {
  private items = 0;
  private bytes = 0;
  private mostItems = 0;
  private mostBytes = 0;

  /** As the server says when a stream opens. */
  limit(items: number, bytes: number): void {
    this.mostItems = items;
    this.mostBytes = bytes;
  }

  /** A single item may exceed the bytes. */
  admits(bytes: number): boolean {
    return this.items < this.mostItems && (this.items === 0 || this.bytes + bytes <= this.mostBytes);
  }

  sent(bytes: number): void {
    this.items++;
    this.bytes += bytes;
  }

  answered(items: number, bytes: number): void {
    this.items -= items;
    this.bytes -= bytes;
  }
}
